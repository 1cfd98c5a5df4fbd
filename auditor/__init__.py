"""The audit engine: read a submission, trace its data flow, prove by experiment, report."""
