// Package manifest reads what to watch from YAML files. It says all that is wrong with them at
// once, each with its file, line and column; makes a JSON Schema of the format; and shows
// every value with where it came from. One set of structs with tags drives all three.
package manifest
