package manifest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vedettehq/vedette/manifest"
)

func TestQuorumIsMoreThanHalfOfTheRegionsThatLook(t *testing.T) {
	all := []string{"a", "b", "c", "d", "e"}
	for n, want := range []int{0, 0, 2, 2, 3, 3} {
		f := parse(t, fmt.Sprintf("regions: [%s]\nmonitors: [{name: x, url: 'tcp://a:1'}]\n", strings.Join(all[:n], ", ")))
		if got := f.Monitors[0].Quorum; got != want {
			t.Errorf("%d of %d, want %d", got, n, want)
		}
	}
}

const threeRegions = `
regions: [fra, iad, sin]
region: fra
defaults: {quorum: 1}
groups:
  europe: {regions: fra}
  west: {regions: [fra, iad], quorum: 2 of 2}
monitors:
  - {name: all, url: "tcp://a:1"}
  - {name: two, url: "tcp://a:2", quorum: 2 of 3}
  - {name: one, url: "tcp://a:3", group: europe}
  - {name: west, url: "tcp://a:4", group: west}
  - {name: again all, url: "tcp://a:5", group: west, regions: [], quorum: "3 of 3"}
  - {name: other, url: "tcp://a:6", group: west, regions: [sin, iad]}
`

func TestRegionsAndQuorumAreInherited(t *testing.T) {
	f := parse(t, threeRegions)
	if f.Region != "fra" || !slices.Equal(f.Regions, []string{"fra", "iad", "sin"}) {
		t.Errorf("region %q of %q", f.Region, f.Regions)
	}
	for i, want := range []string{"[] 1", "[] 2", "[fra] 1", "[fra iad] 2", "[] 3", "[sin iad] 2"} {
		m := f.Monitors[i]
		if got := fmt.Sprint(m.Regions, " ", m.Quorum); got != want {
			t.Errorf("%s: %s, want %s", m.Name, got, want)
		}
	}
}

func TestWhoseQuorumItIsIsShown(t *testing.T) {
	f := parse(t, "regions: [a, b, c]\nmonitors:\n- {name: x, url: 'tcp://a:1', regions: [a, b, c]}\n- {name: y, url: 'tcp://a:2', quorum: 2 of 3}\n")
	text := show(t, f, "")
	for _, want := range []string{
		"    quorum: 2  # built-in default, more than half of the regions\n", "    quorum: 2  # vedette.yaml:4", "regions: [a, b, c]  # vedette.yaml:1\n", "    regions: [a, b, c]  # vedette.yaml:3\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestQuorumsMustFit(t *testing.T) {
	for text, want := range map[string]string{
		"regions: [a, b]\nmonitors: [{name: x, url: 'tcp://a:1', quorum: 3}]":                                                                  "monitors[0].quorum: 3 regions cannot agree where 2 look: a, b",
		"regions: [a, b]\nmonitors: [{name: x, url: 'tcp://a:1', quorum: 2 of 3}]":                                                             "monitors[0].quorum: 2 of 3, and 2 look: a, b",
		"regions: [a, b]\nmonitors: [{name: x, url: 'tcp://a:1', quorum: 0}]":                                                                  "monitors[0].quorum: 0 is less than 1",
		"regions: [a, b]\ndefaults: {quorum: 2}\nmonitors: [{name: x, url: 'tcp://a:1', regions: a}, {name: y, url: 'tcp://a:1', regions: b}]": "2:20: monitors[0].quorum: 2 regions cannot agree where 1 look: a (inherited by x)",
		"monitors: [{name: x, url: 'tcp://a:1', quorum: 2}]":                                                                                   "it is not said which regions look",
		"monitors: [{name: x, url: 'tcp://a:1', quorum: 1 of 2}]":                                                                              "it is not said which regions look",
		"monitors: [{name: x, url: 'tcp://a:1', quorum: 2 of, regions: [a, b]}]":                                                               `"2 of" is no quorum`,
		"monitors: [{name: x, url: 'tcp://a:1', quorum: [2]}]":                                                                                 "want a value, not a list",
		"monitors: [{name: x, url: 'tcp://a:1', quorum: {k: 2}}]":                                                                              "want a value, not a map",
	} {
		_, err := manifest.Parse("a.yaml", []byte(text), manifest.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\ngot %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{
		"monitors: [{name: x, url: 'tcp://a:1', quorum: 1}]",
		"monitors: [{name: x, url: 'tcp://a:1', quorum: 2 of 2, regions: [a, b]}]",
		"monitors: [{name: x, url: 'tcp://a:1', quorum: '1 of 1'}]",
		"monitors: [{name: x, url: 'tcp://a:1', quorum: }]",
	} {
		if _, err := manifest.Parse("a.yaml", []byte(text), manifest.Options{}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTheRegionOfAProcessIsOneOfThoseThatThereAre(t *testing.T) {
	listed, none := parse(t, threeRegions), parse(t, "region: eu\n")
	for _, c := range []struct {
		f          *manifest.File
		name, want string
	}{
		{listed, "sin", ""},
		{listed, "", "the regions are fra, iad, sin: which one is this?"},
		{listed, "sni", "sni is not one of the regions: did you mean sin?"},
		{listed, "europe", "europe is not one of the regions: want one of fra, iad, sin"},
		{none, "", ""},
		{none, "us", ""},
		{none, "us/1", `"us/1" is no name of a region: use up to 60 letters, digits and - _ .`},
	} {
		if got := c.f.CheckRegion(c.name); fmt.Sprint(got) != c.want && (got != nil || c.want != "") {
			t.Errorf("%q: got %v, want %s", c.name, got, c.want)
		}
	}
}
