"""Many submissions: every pull request of a repository judged, kept in one database, grouped by likeness."""
