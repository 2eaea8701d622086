package reflector

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

var errMalformed = errors.New("the offer cannot be read")

// inspect refuses what RFC 9725 and the WHEP draft want refused.
func inspect(kind string, body []byte) error {
	var d sdp.SessionDescription
	if err := d.Unmarshal(body); err != nil || len(d.MediaDescriptions) == 0 {
		return errMalformed
	}
	if len(d.MediaDescriptions) > 50 {
		return fmt.Errorf("%w: it has %d m-lines", errMalformed, len(d.MediaDescriptions))
	}
	want := "sendonly"
	if kind == "whep" {
		want = "recvonly"
	}
	videos := 0
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Media == "application" {
			continue
		}
		_, right := m.Attribute(want)
		if _, both := m.Attribute("sendrecv"); !right && !both {
			if _, session := d.Attribute("sendrecv"); !session {
				return fmt.Errorf("an m-line is not %s", want)
			}
		}
		if m.MediaName.Media == "video" {
			videos++
			if kind == "whip" && !strings.Contains(string(body), "H264/90000") {
				return errors.New("the codec is not known")
			}
		}
	}
	if videos > 1 {
		return errors.New("there are two videos")
	}
	return nil
}

// negotiate answers an offer, with all candidates.
func negotiate(pc *webrtc.PeerConnection, offer string) (string, error) {
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", fmt.Errorf("take the offer: %w", err)
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("answer: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		return "", fmt.Errorf("take the own answer: %w", err)
	}
	select {
	case <-gathered:
	case <-time.After(5 * time.Second):
		return "", errors.New("gather candidates: it took too long")
	}
	return polish(pc.LocalDescription().SDP), nil
}

var secondComponent = regexp.MustCompile(`a=candidate:\S+ 2 .*\r\n`)

// polish takes the RTCP candidates out and says that RTCP is always muxed.
func polish(text string) string {
	text = secondComponent.ReplaceAllString(text, "")
	return strings.ReplaceAll(text, "a=rtcp-mux\r\n", "a=rtcp-mux\r\na=rtcp-mux-only\r\n")
}

type fragment struct{ ufrag, pwd string }

func parseFragment(body string) (fragment, error) {
	var f fragment
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "a=ice-ufrag:"):
			f.ufrag = line[len("a=ice-ufrag:"):]
		case strings.HasPrefix(line, "a=ice-pwd:"):
			f.pwd = line[len("a=ice-pwd:"):]
		case strings.HasPrefix(line, "a=candidate:"), strings.HasPrefix(line, "a=mid:"), line == "a=end-of-candidates", strings.HasPrefix(line, "m=") && len(line) > 2, line == "":
		default:
			return f, fmt.Errorf("the line %q is not of a fragment", line)
		}
	}
	if f.ufrag != "" && (len(f.ufrag) < 4 || len(f.pwd) < 22) {
		return f, errors.New("the credentials are too short") // RFC 8839 section 5.4
	}
	return f, nil
}

var (
	ufragLine = regexp.MustCompile(`a=ice-ufrag:\S+`)
	pwdLine   = regexp.MustCompile(`a=ice-pwd:\S+`)
)

// restart answers an ICE restart with new credentials and one candidate.
func (x *session) restart(f fragment) (string, error) {
	offer := ufragLine.ReplaceAllString(x.offer, "a=ice-ufrag:"+f.ufrag)
	offer = pwdLine.ReplaceAllString(offer, "a=ice-pwd:"+f.pwd)
	answer, err := negotiate(x.pc, offer)
	if err != nil {
		return "", err
	}
	x.offer = offer
	var out []string
	candidate := false
	for _, prefix := range []string{"a=ice-ufrag:", "a=ice-pwd:", "m=", "a=mid:", "a=candidate:"} {
		for line := range strings.Lines(answer) {
			if strings.HasPrefix(line, prefix) {
				out = append(out, strings.TrimSpace(line))
				candidate = candidate || prefix == "a=candidate:"
				break
			}
		}
	}
	if !candidate {
		return "", errors.New("there is no candidate")
	}
	return strings.Join(out, "\r\n") + "\r\n", nil
}
