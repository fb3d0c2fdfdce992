// Indexes filled for constraints that do not have them: yet, or ever, if who made them was cut off. The server may hold
// two of one name, of which one has its constraint: then that stands, and the other is in nobody's way.
// $names of constraints -> names of those without, names of those with one
SHOW INDEXES YIELD name, state, populationPercent, owningConstraint
WHERE name IN $names
RETURN
  collect(CASE WHEN state = 'POPULATING' AND populationPercent = 100.0 AND owningConstraint IS NULL THEN name END)
    AS unowned,
  collect(owningConstraint) AS owned
