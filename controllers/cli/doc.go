// Package cli is the command line of Seedbed: one file for each command.
//
// In: arguments, files and standard input. Out: text for a person, or YAML and JSON for a program,
// and errors on one line that say what to do. Decisions are made in the packages beside this one.
package cli
