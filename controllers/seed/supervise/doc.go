// Package supervise runs programs as children of this process and keeps them running.
//
// In: a Child, which is data: a program, its arguments, where its log goes, how to tell that it is
// healthy. Out: running children and an Event for each thing worth telling. A child that dies is
// started again after a growing delay. When this process ends, however it ends, so do its children.
// What the programs are and what their arguments mean is not known here.
package supervise
