package documents

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	linkTarget = regexp.MustCompile(`\]\(<?([^)>\s]+)>?(?:\s+"[^"]*")?\)|(?:src|href)="([^"]+)"`)
	heading    = regexp.MustCompile(`^#{1,6} +(.*?) *#*$`)
	shown      = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`) // a link in a heading: its text counts
)

// prose is a page without its blocks of code and what stands between backquotes.
func prose(page string) []string {
	var lines []string
	code := false
	for _, line := range strings.Split(page, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
			line = ""
		}
		if code {
			line = ""
		}
		lines = append(lines, line)
	}
	return lines
}

var inline = regexp.MustCompile("`[^`]*`")

// anchors are the names by which GitHub knows the headings of a page.
func anchors(page string) []string {
	var all []string
	for _, line := range prose(page) {
		m := heading.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		text := shown.ReplaceAllString(m[1], "$1")
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
				return unicode.ToLower(r)
			}
			return -1
		}, text)
		for n, unique := 1, name; ; n++ {
			if !slices.Contains(all, unique) {
				all = append(all, unique)
				break
			}
			unique = fmt.Sprintf("%s-%d", name, n)
		}
	}
	return all
}

// brokenLinks says which relative links of a page lead nowhere, and how many it has.
func brokenLinks(path, page string) (broken []string, links int) {
	for i, line := range prose(page) {
		for _, m := range linkTarget.FindAllStringSubmatch(inline.ReplaceAllString(line, "``"), -1) {
			target := m[1] + m[2]
			if u, err := url.Parse(target); err != nil || u.Scheme != "" || strings.HasPrefix(target, "//") {
				if err != nil {
					broken = append(broken, fmt.Sprintf("%s:%d: %s is no address: %v", path, i+1, target, err))
				}
				continue
			}
			links++
			file, anchor, _ := strings.Cut(target, "#")
			to, text := path, page
			if file != "" {
				if unescaped, err := url.PathUnescape(file); err == nil {
					file = unescaped
				}
				to = filepath.Join(filepath.Dir(path), file)
				if _, err := os.Stat(to); err != nil {
					broken = append(broken, fmt.Sprintf("%s:%d: there is no %s", path, i+1, target))
					continue
				}
				if raw, err := os.ReadFile(to); err == nil {
					text = string(raw)
				}
			}
			if anchor != "" && strings.HasSuffix(to, ".md") && !slices.Contains(anchors(text), anchor) {
				broken = append(broken, fmt.Sprintf("%s:%d: %s has no heading #%s", path, i+1, filepath.Base(to), anchor))
			}
		}
	}
	return broken, links
}

func TestLinksOfDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..")
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		must(t, err)
		pages = append(pages, found...)
	}
	all := 0
	for _, path := range pages {
		raw, err := os.ReadFile(path)
		must(t, err)
		broken, links := brokenLinks(path, string(raw))
		for _, line := range broken {
			t.Error(line)
		}
		all += links
	}
	if len(pages) < 10 || all < 50 {
		t.Errorf("only %d links in %d pages were found: are they read?", all, len(pages))
	}
}

func TestBrokenLinksAreFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(dir, "other page.md")
	must(t, os.WriteFile(other, []byte("# Two `words`, and [a link](x)\n## Same\n## Same\n```\n# no heading\n```\n"), 0o666))
	page := `# Here
[a](other%20page.md) [b](other%20page.md#two-words-and-a-link) [c](other%20page.md#same-1) [d](#here) [e](https://example.org/none) ` + "`[f](none)`" + `
[1](none.md) [2](other%20page.md#same-2) ![3](none.png) [4](#there) <img src="no.png"> [5](other%20page.md#no-heading)`
	broken, links := brokenLinks(filepath.Join(dir, "page.md"), page)
	if len(broken) != 6 || links != 10 {
		t.Errorf("of %d links, want 10, these are broken, want 6:\n%s", links, strings.Join(broken, "\n"))
	}
}
