// Indexes that have the name of a constraint and not the constraint. One that was filled for it gets it in a moment, or
// never, if who made it was cut off; one that is in use as it is was made by others. The server may hold two of one name,
// of which one has its constraint: then that stands, and the other is in nobody's way.
// $names of constraints -> names of those filled for one, names of others' indexes, names of those with one
SHOW INDEXES YIELD name, state, populationPercent, owningConstraint
WHERE name IN $names
RETURN
  collect(CASE WHEN state = 'POPULATING' AND populationPercent = 100.0 AND owningConstraint IS NULL THEN name END)
    AS filled,
  collect(CASE WHEN state <> 'POPULATING' AND owningConstraint IS NULL THEN name END) AS others,
  collect(owningConstraint) AS owned
