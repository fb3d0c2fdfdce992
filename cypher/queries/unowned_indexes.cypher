// Indexes that have the name of a constraint of ours. One that is filled gets its constraint in a moment, or never, if who
// made it was cut off; one that is in use without a constraint was made by others. The server may hold two of one name, of
// which one has its constraint: then that stands, and the other is in nobody's way.
// $names of constraints
// -> unowned: id, name and state of those filled that no constraint owns; owned: names of constraints that own one
SHOW INDEXES YIELD id, name, state, populationPercent, owningConstraint
WHERE name IN $names
RETURN
  collect(
    CASE WHEN owningConstraint IS NULL AND (state <> 'POPULATING' OR populationPercent = 100.0) THEN [id, name, state] END
  ) AS unowned,
  collect(owningConstraint) AS owned
