package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A quorum is how many regions must agree, and of how many; 0 is not said.
type quorum [2]int

// UnmarshalText reads "2" and "2 of 3".
func (q *quorum) UnmarshalText(text []byte) error {
	first, second, of := strings.Cut(string(text), " of ")
	k, err := strconv.Atoi(strings.TrimSpace(first))
	n := 0
	if err == nil && of {
		n, err = strconv.Atoi(strings.TrimSpace(second))
	}
	switch {
	case err != nil:
		return fmt.Errorf("%q is no quorum: want a number of regions, as in 2, or 2 of 3", text)
	case k < 1:
		return fmt.Errorf("%d is less than 1", k)
	case of && k > n:
		return fmt.Errorf("%d is more than %d", k, n)
	}
	*q = quorum{k, n}
	return nil
}

// checkRegions finds what is wrong with the regions that there are and with the one we are.
func (d *decoder) checkRegions(doc document, at func(path string) pos) {
	d.regionNames(doc.Regions, "regions", at)
	if doc.Region == "" {
		return
	}
	if text := checkRegion(doc.Region); text != "" {
		d.add(at("region"), "region", text, wantRegion)
	} else if len(doc.Regions) > 0 && !slices.Contains(doc.Regions, doc.Region) {
		d.add(at("region"), "region", fmt.Sprintf("%s is not one of the regions", doc.Region), oneOf(doc.Regions, doc.Region))
	}
}

const wantRegion = "use up to 60 letters, digits and - _ ."

// checkRegion says what is wrong with the name of a region, or "". Names become parts of the
// names of leases, where a slash would make one region look like two.
func checkRegion(name string) string {
	if name == "work" || name == "schedule" { // by which roles know their members
		return fmt.Sprintf("%q is the name of a role", name)
	}
	if name == "" || len(name) > 60 || strings.Trim(name, letters) != "" {
		return fmt.Sprintf("%q is no name of a region", name)
	}
	return ""
}

// oneOf says which words there are, and which one was likely meant.
func oneOf(words []string, word string) string {
	if fix := didYouMean(word, slices.Values(words)); fix != "" {
		return fix
	}
	return "want one of " + strings.Join(words, ", ")
}

// regionNames finds what is wrong with the names of a list.
func (d *decoder) regionNames(names []string, path string, at func(path string) pos) {
	for i, name := range names {
		one := fmt.Sprintf("%s[%d]", path, i)
		if text := checkRegion(name); text != "" {
			d.add(at(one), one, text, wantRegion)
		} else if slices.Contains(names[:i], name) {
			d.add(at(one), one, name+" is there twice", "")
		}
	}
}

// looking finds what is wrong with the regions that look at a monitor, and with its quorum. It
// returns how many of them must agree: unless that is said, more than half.
func (d *decoder) looking(s settings, l layered, name string) int {
	n := len(s.Regions)
	if n == 0 {
		n = len(d.regions)
	}
	k, of := s.Quorum[0], s.Quorum[1]
	wrong := found{at: l.at("quorum"), path: join(l.path, "quorum")}
	if l.inherited("quorum") {
		wrong.heir = name
	}
	switch {
	case k == 0 && n > 1:
		return n/2 + 1
	case k == 0:
		return 0
	case n == 0 && k == 1 && of <= 1:
	case n == 0:
		wrong.text, wrong.fix = "it is not said which regions look", "list all that there are: regions: [...] at the top of the file"
		d.put(wrong)
	case of > 0 && of != n:
		wrong.text = fmt.Sprintf("%d of %d, and %d look: %s", k, of, n, strings.Join(d.lookers(s), ", "))
		d.put(wrong)
	case k > n:
		wrong.text = fmt.Sprintf("%d regions cannot agree where %d look: %s", k, n, strings.Join(d.lookers(s), ", "))
		d.put(wrong)
	}
	return k
}

func (d *decoder) lookers(s settings) []string {
	if len(s.Regions) > 0 {
		return s.Regions
	}
	return d.regions
}

// ownRegions finds what is wrong with the regions of a monitor, a group or the defaults.
func (d *decoder) ownRegions(names []string, l layered) {
	at := func(path string) pos { return l.at(strings.TrimPrefix(strings.TrimPrefix(path, l.path), ".")) }
	path := join(l.path, "regions")
	d.regionNames(names, path, at)
	for i, name := range names {
		if len(d.regions) > 0 && name != "" && !slices.Contains(d.regions, name) {
			one := fmt.Sprintf("%s[%d]", path, i)
			d.add(at(one), one, "there is no region "+name, oneOf(d.regions, name))
		}
	}
}

// CheckRegion says what is wrong with looking from a region: it is none of those that there are,
// or none although there are some.
func (f *File) CheckRegion(name string) error {
	switch {
	case name == "" && len(f.Regions) > 0:
		return fmt.Errorf("the regions are %s: which one is this?", strings.Join(f.Regions, ", "))
	case name == "":
		return nil
	}
	if text := checkRegion(name); text != "" {
		return fmt.Errorf("%s: %s", text, wantRegion)
	}
	if len(f.Regions) > 0 && !slices.Contains(f.Regions, name) {
		return fmt.Errorf("%s is not one of the regions: %s", name, oneOf(f.Regions, name))
	}
	return nil
}
