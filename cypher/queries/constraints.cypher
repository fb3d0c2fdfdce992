// What the database keeps unique.
// -> constraints: label and properties of each
SHOW CONSTRAINTS YIELD type, entityType, labelsOrTypes, properties
WHERE entityType = 'NODE' AND type ENDS WITH 'UNIQUENESS'
RETURN collect([labelsOrTypes[0], properties]) AS constraints
