package cmcd_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/hls-fallback/edge/cmcd"
)

func TestWhatPlayersSay(t *testing.T) {
	for _, tc := range []struct {
		query   string
		headers []string
		want    string
	}{
		{"", nil, `null`},
		// Examples of CTA-5004, section 5.
		{`bl=21300,br=3200,bs,cid="faec5fc2-ac30-11ea-bb37-0242ac130002",cid="x",sid="6e2fb550-c457-11e9-bb97-0800200c9a66"`, nil,
			`{"bl":21300,"br":3200,"bs":true,"cid":"x","sid":"6e2fb550-c457-11e9-bb97-0800200c9a66"}`},
		{`d=4004,com.example-myStringKey="myString",nor="..%2F300kbps%2Fsegment35.m4v"`, nil,
			`{"com.example-myStringKey":"myString","d":4004,"nor":"..%2F300kbps%2Fsegment35.m4v"}`},
		{`com.example-x="a,\"b\"\\"`, nil, `{"com.example-x":"a,\"b\"\\"}`},
		{"", []string{"mtp=25400", "br=3200,d=4004,ot=v,tb=6000", "rtp=15000", `sf=h,st=l,pr=1.08`}, `{"br":3200,"d":4004,"mtp":25400,"ot":"v","pr":1.08,"rtp":15000,"sf":"h","st":"l","tb":6000}`},
		{`su=false,pr=NaN,a=Inf,"x"=1,=2,,ä=1`, nil, `{"a":"Inf","pr":"NaN","su":false}`},
		{`sid="` + strings.Repeat("x", 300) + `"`, nil, `{"sid":"` + strings.Repeat("x", 128) + `"}`},
		{strings.Repeat("x", 20000), nil, `null`},
	} {
		got, err := json.Marshal(cmcd.Parse(url.QueryEscape(tc.query), tc.headers...))
		if err != nil || string(got) != tc.want {
			t.Errorf("%.60s: %s, %v, want %s", tc.query, got, err, tc.want)
		}
	}
	var many strings.Builder
	for i := range 1000 {
		_, _ = fmt.Fprintf(&many, "k%d,", i)
	}
	if n := len(cmcd.Parse("", many.String()[:4000])); n != 40 {
		t.Errorf("%d keys were read", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`bl%3D2300%2Cbs`, `sid="a,b",pr=1.5`)
	f.Fuzz(func(t *testing.T, query, header string) {
		m := cmcd.Parse(query, header)
		if len(m) > 41 {
			t.Fatalf("%d keys", len(m))
		}
		if _, err := json.Marshal(m); err != nil {
			t.Fatal(err)
		}
	})
}
