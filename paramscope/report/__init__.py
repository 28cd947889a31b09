"""A report: findings, the data of a model with them, and, above the formats, the face that renders itself."""
