package signaling_test

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling"
)

func document(t *testing.T) map[string]any {
	t.Helper()
	b, err := os.ReadFile("../docs/api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTheDocumentNamesTheRoutes(t *testing.T) {
	documented := make(map[string][]string)
	for path, item := range document(t)["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			// Other rooms hold their own tags against what they serve.
			if method != "parameters" && slices.Contains([]any{"whip", "whep", "api"}, operation.(map[string]any)["tags"].([]any)[0]) {
				documented[path] = append(documented[path], strings.ToUpper(method))
			}
		}
		slices.Sort(documented[path])
	}
	served := make(map[string][]string)
	for _, rt := range signaling.Routes() {
		served[rt.Path] = rt.Methods
	}
	if !reflect.DeepEqual(documented, served) {
		t.Errorf("documented %v\nserved     %v", documented, served)
	}
}

// Every $ref of the document leads somewhere.
func TestTheDocumentsReferencesResolve(t *testing.T) {
	doc := document(t)
	var walk func(any)
	walk = func(node any) {
		switch n := node.(type) {
		case map[string]any:
			if ref, ok := n["$ref"].(string); ok {
				var at any = doc
				for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
					m, _ := at.(map[string]any)
					at = m[part]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, v := range n {
				walk(v)
			}
		case []any:
			for _, v := range n {
				walk(v)
			}
		}
	}
	walk(doc)
}

// The schemas name exactly the fields that are sent.
func TestTheDocumentNamesTheFields(t *testing.T) {
	schemas := document(t)["components"].(map[string]any)["schemas"].(map[string]any)
	for name, v := range map[string]any{
		"Stream": media.StreamStatus{}, "Publisher": media.PublisherStatus{}, "Track": media.TrackStatus{},
		"Finding": media.Finding{}, "LayerStatus": media.LayerInfo{}, "Viewer": media.ViewerStatus{},
	} {
		var documented, sent []string
		for field := range schemas[name].(map[string]any)["properties"].(map[string]any) {
			documented = append(documented, field)
		}
		for i := range reflect.TypeOf(v).NumField() {
			field, _, _ := strings.Cut(reflect.TypeOf(v).Field(i).Tag.Get("json"), ",")
			sent = append(sent, field)
		}
		sent = slices.DeleteFunc(sent, func(f string) bool { return f == "-" })
		slices.Sort(documented)
		slices.Sort(sent)
		if !slices.Equal(documented, sent) {
			t.Errorf("%s: documented %v, sent %v", name, documented, sent)
		}
	}
}

// FuzzBodies sends anything to each path that reads a body: the answer is a
// status below 500, and nothing panics.
func FuzzBodies(f *testing.F) {
	f.Add(trickled, `"ice1"`)
	f.Add(restarted, "*")
	f.Add(`{"mediaId":"0","rid":"hd","maxWidth":640}`, `W/"a", ,"`)
	f.Add(`["active","layers"]`, "")
	f.Fuzz(func(t *testing.T, body, match string) {
		d := newDoor(t)
		whip, _ := d.publish()
		whep, _ := d.view()
		for _, c := range []struct{ method, path, kind string }{
			{"PATCH", whip, fragmentType}, {"PATCH", whep, fragmentType}, {"POST", whep + "/layers", jsonType}, {"POST", whep + "/events", jsonType}, {"POST", whip + "/events", jsonType}, {"POST", "/whip/x", sdpType},
		} {
			resp := d.do(c.method, c.path, body, "Authorization", "Bearer admin", "Content-Type", c.kind, "If-Match", match)
			if resp.StatusCode >= 500 {
				t.Fatalf("%s %s: %d", c.method, c.path, resp.StatusCode)
			}
			if resp.StatusCode >= 400 {
				var p map[string]any
				if err := json.Unmarshal([]byte(text(resp)), &p); err != nil || p["status"] != float64(resp.StatusCode) {
					t.Fatalf("%s %s: no problem: %v", c.method, c.path, err)
				}
			}
		}
	})
}
