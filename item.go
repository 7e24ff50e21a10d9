package vedette

import (
	"crypto/sha1" //nolint:gosec // RFC 9562 wants it, and nothing is kept safe by it
	"strconv"
)

// ItemsTopic is the topic of a [Feed] that holds what a job found, as [Item]s of all its attempts.
func ItemsTopic(id ID) string { return LogTopic(id) + "/items" }

// An Item is one thing that an attempt of a Job found, as it is kept. Who could not be told that it
// is kept may have kept it again: an entry whose Epoch and N were read before is the same Item.
type Item struct {
	Epoch int64 `json:"epoch"` // of the claim; see [Job.Counts]
	N     int64 `json:"n"`     // from 1 on, within the claim
	Data  Raw   `json:"item"`
}

// itemSpace is the namespace of the ids of items: the UUIDv5 of https://github.com/vedettehq/vedette
// in that of URLs. It must never change.
var itemSpace = ID{0xbe, 0xc6, 0xb2, 0xd5, 0xef, 0x7f, 0x5c, 0x75, 0x9c, 0x58, 0x3b, 0xad, 0xe6, 0x32, 0xcc, 0x87} //nolint:gochecknoglobals // a constant

// ItemID returns the id of the n-th Item that a claim found: the UUIDv5 (RFC 9562, section 5.5) of
// JOB/EPOCH/N. It is the same whenever and wherever it is asked for.
func ItemID(claim Ref, n int64) ID {
	name := claim.Job.appendTo(itemSpace[:len(itemSpace):len(itemSpace)])
	name = strconv.AppendInt(append(name, '/'), claim.Epoch, 10)
	name = strconv.AppendInt(append(name, '/'), n, 10)
	sum := sha1.Sum(name) //nolint:gosec // see above
	id := ID(sum[:16])
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}
