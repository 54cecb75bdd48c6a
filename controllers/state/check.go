package state

// Check is a question to a program: would it accept this file? It is asked before the file is
// written, so that a file that the program refuses never takes the place of one that it runs on.
//
// The program is run on a candidate, a private copy of the content. Its verdict is
//   - a refusal, when it ends with another exit status than 0 or its output has one of Objections;
//   - with a CheckMarker among Args: an acceptance as soon as it opens the marker, where it is ended;
//   - without one: an acceptance when it ends with exit status 0;
//   - none, when it ends by a signal, is not there, takes too long, or refuses Control as well.
type Check struct {
	// Program is an absolute path.
	Program string
	// Args, in which CheckCandidate, CheckScratch and CheckMarker stand for paths.
	Args []string
	// Content is what is judged; nil for the content of the file itself. A unit file is judged by
	// what its program says to its flags, together with the configuration that they name.
	Content []byte
	// ContentPath is the file that Content is meant for; empty for the file itself.
	ContentPath string
	// Control is content that the program accepts for certain, and ControlArgs its arguments (nil
	// for Args). A program that does not accept them fails for a reason that is not the candidate's;
	// its refusal then counts for nothing. A check without Control has none.
	Control     []byte
	ControlArgs []string
	// Objections are texts of the program that mean a refusal whatever its exit status.
	Objections []string
	// Explains is how many lines before an objection say what is wrong.
	Explains int
	// OnlyObjections is true for a program whose exit status says something else.
	OnlyObjections bool
	// Cure says where the user mends it, such as "correct kubelet.config".
	Cure string
}

// What stands for a path in the arguments of a Check. No text that comes from a user has a control
// character in it, so none can be taken for one of these.
const (
	// CheckCandidate is the path of the candidate, which has the file's own name.
	CheckCandidate = "\x00candidate"
	// CheckScratch is an empty folder, removed afterwards.
	CheckScratch = "\x00scratch"
	// CheckMarker is a path that the program opens for reading once it has accepted its
	// configuration, and before it does anything else. Nothing is ever read from it: it is a FIFO
	// without a writer's bytes, at which the program waits until it is ended.
	CheckMarker = "\x00marker"
)
