package media

import "encoding/json"

// Problem is the body of an error response over HTTP (RFC 9457 section 3): the shape
// that all rooms answer with. Which error is which problem, each says for itself.
type Problem struct {
	Type     string `json:"type"` // ProblemType
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"` // the trace identifier
}

// ProblemMedia is a Problem's media type.
const ProblemMedia = "application/problem+json"

// ProblemType names a kind of problem by a stable word.
func ProblemType(word string) string { return "urn:sluice:problem:" + word }

// Body is the problem as it is sent.
func (p Problem) Body() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		return nil // strings and numbers always marshal
	}
	return append(b, '\n')
}
