package vedette_test

import (
	"math"
	"testing"

	"github.com/vedettehq/vedette"
)

// What is wanted was made by Python: uuid5(uuid5(NAMESPACE_URL,
// "https://github.com/vedettehq/vedette"), f"{job}/{epoch}/{n}").
func TestItemIDIsTheUUIDv5OfJobEpochAndNumber(t *testing.T) {
	const job = "019a5c1e-8a00-7000-8000-000000000000"
	for _, c := range []struct {
		job      string
		epoch, n int64
		want     string
	}{
		{job, 1, 1, "66e82296-7575-53ca-b752-1bf83cab7043"},
		{job, 1, 2, "50c4c872-4ea5-5aac-82f1-044e1b0d4139"},
		{job, 2, 1, "4f44d079-1775-583e-8cff-c951608e25ac"},
		{job, 12, 1, "60722deb-4a4c-5093-8ce2-b4941321af63"},
		{job, 1, 21, "66a3e14e-a597-51f8-a49a-e6543848e3b5"},
		{"019a5c1e-8a00-7fff-bfff-ffffffffffff", 1763942400123456, math.MaxInt64, "6ceccdec-6ffd-526a-88a7-cccfa952b0a6"},
	} {
		id, err := vedette.ParseID(c.job)
		if err != nil {
			t.Fatal(err)
		}
		if got := vedette.ItemID(vedette.Ref{Job: id, Epoch: c.epoch}, c.n).String(); got != c.want {
			t.Errorf("item %d of epoch %d: id %s, want %s", c.n, c.epoch, got, c.want)
		}
	}
}
