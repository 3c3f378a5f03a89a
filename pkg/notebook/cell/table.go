package cell

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

// Table is text in columns; the first Text columns stand left, the others right.
type Table struct {
	Head  []string
	Text  int
	Rows  [][]string
	Sorts bool // by the column whose head is clicked, in a notebook

	Colors []string // of a mark in the first cell of each row, as in CSS; nil: none
}

// sortByColumn is what a click on the head of a column does: numbers by size,
// the rest by the alphabet, a second click the other way round. It needs no more
// than the element itself, so it works in a saved notebook and an exported page;
// where scripts are not allowed the table is as it was.
const sortByColumn = `var h=this,t=h.closest('table'),i=h.cellIndex,d=h.dataset.d=h.dataset.d=='1'?'-1':'1',r=[...t.Rows].slice(1);` +
	`r.sort(function(a,b){var x=a.cells[i].innerText,y=b.cells[i].innerText,n=parseFloat(x)-parseFloat(y);return d*(isNaN(n)?x.localeCompare(y):n)});` +
	`r.forEach(function(e){e.parentNode.append(e)})`

// Show shows the table under the cell, in a notebook as HTML.
func (t Table) Show(title string) {
	if !InNotebook() {
		Say("%s\n%s", title, t)
		return
	}
	NewDisplay().HTML(t.html(title), title+"\n"+t.String())
	fmt.Fprintf(&runLog, "%s\n%s\n", title, t)
}

// String is the table with its columns aligned by blanks.
func (t Table) String() string {
	widths := make([]int, len(t.Head))
	lines := append([][]string{t.Head}, t.Rows...)
	for _, row := range lines {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range lines {
		line := "  "
		for i, cell := range row {
			blanks := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < t.Text {
				line += " " + cell + blanks + " "
			} else {
				line += " " + blanks + cell + " "
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// html uses no colours of its own, so that it can be read on dark pages too.
func (t Table) html(title string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<b>%s</b><div style=\"overflow:auto;max-height:480px\"><table>", html.EscapeString(title))
	for i, row := range append([][]string{t.Head}, t.Rows...) {
		tag := "td"
		if i == 0 {
			tag = "th"
		}
		b.WriteString("<tr>")
		for j, cell := range row {
			align := "right"
			if j < t.Text {
				align = "left"
			}
			style, click := "", ""
			if i == 0 && t.Sorts {
				style, click = ";cursor:pointer", fmt.Sprintf(` title="sort" onclick="%s"`, sortByColumn)
			}
			mark := ""
			if i > 0 && j == 0 && t.Colors != nil {
				mark = fmt.Sprintf(`<span style="display:inline-block;width:0.8em;height:0.8em;margin-right:6px;border-radius:2px;background:%s"></span>`, t.Colors[i-1])
			}
			fmt.Fprintf(&b, "<%s style=\"text-align:%s;white-space:nowrap%s\"%s>%s%s</%s>", tag, align, style, click, mark, html.EscapeString(cell), tag)
		}
		b.WriteString("</tr>")
	}
	b.WriteString("</table></div>")
	return b.String()
}
