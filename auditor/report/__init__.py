"""Reports: one document, printed for a terminal, as JSON or as SARIF."""
