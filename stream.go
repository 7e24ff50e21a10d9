package vedette

import (
	"context"
	"time"
)

// A Message is what travels through a broker.
type Message struct {
	Topic  string // or queue, or path
	Key    []byte // messages of one key stay in order
	Body   []byte
	Header map[string]string
	// At is when the broker, or who sent it, says that it was sent; zero if nobody does.
	At time.Time
	// Position is where it lies; zero where a source has no positions.
	Position Position
	Tag      uint64 // the Session's own, ascending
	// Delivered counts how often it was delivered, this time included; 0 if the source cannot
	// say.
	Delivered int
	// Mark is "" for a message that somebody sent. The others are a source's own words about
	// a position.
	Mark Mark
}

// A Mark is what a source itself says in the place of a message.
type Mark string

// The marks.
const (
	// MarkLost: the messages of the Position are gone for good, and nobody has read them. Body
	// says why, for people.
	MarkLost Mark = "lost"
	// MarkIdle: nothing was sent up to Position.Through that has not been delivered.
	MarkIdle Mark = "idle"
)

// A Position is a stretch of one partition of a stream, as a group of readers sees it.
type Position struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Stream tells a topic from one that is made anew under its name; "" is not known.
	Stream string `json:"stream,omitempty"`
	// From is the offset of the first message, Next that behind the last one. As a position
	// that is kept, Next is where to go on, and -1 says that nothing was read yet.
	From int64 `json:"from"`
	Next int64 `json:"next"`
	// Epoch orders the owners of the partition: it grows with each Claim.
	Epoch int64 `json:"epoch"`
	// Owner is who claimed it last; it is kept for people.
	Owner string `json:"owner,omitempty"`
	// Through says that everything sent by then lies before Next; zero says nothing.
	Through time.Time `json:"through,omitzero"`
}

// Positions keeps how far groups have come, beside what came of it: [Writer.Write] moves them
// in the transaction that keeps what was read. It is safe for concurrent use.
type Positions interface {
	// Claim makes owner the one who may move these positions. It raises their epochs, waits for
	// a write of the former owner that is in progress, and returns the positions as they are
	// kept: Stream, Next, the new Epoch and Through. One that is not kept yet gets Next -1 and
	// the Stream that is asked for. Further fields are not read.
	Claim(ctx context.Context, owner string, p ...Position) ([]Position, error)
	// List returns the positions of a group, by topic and partition.
	List(ctx context.Context, group string) ([]Position, error)
}

// A Publisher hands messages to a broker. It is safe for concurrent use.
type Publisher interface {
	// Publish returns nil when every message is confirmed: by all in-sync replicas, or on disk.
	// After any other answer each of them is sent or not. It reports ErrRefused for messages
	// that will never be taken. Of a Message it reads Topic, Key, Body and Header.
	Publish(ctx context.Context, m ...Message) error
}

// A Source opens sessions. Who reads from it opens the next one after an error.
type Source interface {
	Open(ctx context.Context) (Session, error)
}

// A Session is one life of a connection. It alone settles what it delivered, so that no verdict
// ever reaches another's message. What is unsettled at its end comes again. Receive and Settle
// are called by one goroutine at a time.
type Session interface {
	// Receive waits for messages and returns up to n of them, in the order of their
	// partitions' offsets. Without any it returns nil when the source wants what it delivered
	// settled before it goes on, or when ctx has ended. It reports ErrLeaseLost when the
	// session is over.
	Receive(ctx context.Context, n int) ([]Message, error)
	// Settle tells what became of messages. It reports ErrLeaseLost, and changes nothing, when
	// the session is over.
	Settle(ctx context.Context, v ...Verdict) error
	// Close ends the session and lets others have its partitions at once.
	Close() error
}

// A Verdict says what becomes of a message.
type Verdict struct {
	Tag uint64
	// UpTo includes all unsettled messages before it.
	UpTo bool
	Do   Do
}

// A Do is what may become of a message.
type Do string

// Ack is done with the message.
const Ack Do = "ack"

// A DeadLetter is a message that will never be taken, or the place of messages that were lost.
type DeadLetter struct {
	ID ID
	Message
	Reason string // begins with its class: undecodable, invalid, out_of_range, refused, lost
	Dead   time.Time
}

// DeadLetters keeps dead letters until they are sent to where people look for them. It is safe
// for concurrent use.
type DeadLetters interface {
	// Unsent returns up to n letters that are not sent yet, by ID.
	Unsent(ctx context.Context, n int) ([]DeadLetter, error)
	// Sent notes that letters are sent. They stay until Retention.Failures has passed.
	Sent(ctx context.Context, ids ...ID) error
}
