package rule

import "testing"

func TestNumbersAreShownAsLongAsTheySay(t *testing.T) {
	for v, want := range map[float64]string{
		6.999816620540543: "6.9998", 13.99999: "13.9999", 7: "7", 0.29: "0.29", -12.25: "-12.25",
		1234567890123: "1234567890123", 1.0 / 3: "0.3333", 0.00012345: "0.00012345",
	} {
		if got := shortFloat(v); got != want {
			t.Errorf("%v is shown as %s, want %s", v, got, want)
		}
	}
}
