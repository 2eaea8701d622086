package vod_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sluice-live/sluice/vod"
)

func TestTheDocumentNamesTheRoutes(t *testing.T) {
	b, err := os.ReadFile("../docs/api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for path, item := range doc.Paths {
		for method, operation := range item {
			if op, ok := operation.(map[string]any); ok && slices.Contains(op["tags"].([]any), any("vod")) {
				documented[path] = append(documented[path], strings.ToUpper(method))
			}
		}
		slices.Sort(documented[path])
	}
	served := map[string][]string{}
	for _, rt := range vod.Routes() {
		served[rt.Path] = rt.Methods
	}
	if !reflect.DeepEqual(documented, served) {
		t.Errorf("documented %v\nserved     %v", documented, served)
	}
}
