package codec

import "github.com/vedettehq/vedette"

// AppendUnchecked returns what Encode would write if it took any result.
func AppendUnchecked(c *Codec, r *vedette.Result) []byte {
	return appendResult(append([]byte(nil), *c.head.Load()...), r)
}
