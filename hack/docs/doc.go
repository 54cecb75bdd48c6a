// Package docs has no code: its tests hold README and all pages to what is there.
//
// In: every Markdown file of the repository. Checked are links and their anchors, that each page is in the
// index, commands and their flags, objects that a reader copies, and revisions that are printed. What a
// command prints otherwise is not: the pages say where it was recorded.
package docs
