// A package that is installed without all of its parts.
require('a-part-of-it')
