// An index goes, if it is there.
// $name
DROP INDEX $name IF EXISTS
