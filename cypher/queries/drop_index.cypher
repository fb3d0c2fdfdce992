// An index goes, if it is there.
// $name of the index
DROP INDEX $name IF EXISTS
