package rule

import "testing"

func TestNumbersAreShownAsLongAsTheySay(t *testing.T) {
	for v, want := range map[float64]string{
		6.999816620540543: "6.99982", 7: "7", 0.1: "0.1", -12.25: "-12.25", 1234567890123: "1234567890123",
		1.0 / 3: "0.333333", 1e7 + 0.123456789: "10000000.123456789",
	} {
		if got := shortFloat(v); got != want {
			t.Errorf("%v is shown as %s, want %s", v, got, want)
		}
	}
}
