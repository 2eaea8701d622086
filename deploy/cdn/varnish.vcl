vcl 4.1;

# Varnish as a cache in front of Sluice. Change the lines marked HERE, then
#   varnishd -a :8090 -f /path/to/varnish.vcl -s malloc,4G
# A test runs this very file with Debian's Varnish 7.1 (hls-fallback/edge, tag integration).
#
# Who waits for somebody else's answer is woken when it begins and gets it while it comes; Age is
# counted and sent. So two tiers of it work: give the outer ones the inner one as backend.

backend sluice {
    .host = "127.0.0.1"; # HERE
    .port = "8080";      # HERE
    .connect_timeout = 3s;
    # The origin blocks up to three target durations: 18 s with 6 s. The default is 60 s; less than
    # 18 s breaks low latency.
    .first_byte_timeout = 40s;
    .between_bytes_timeout = 30s;
}

sub vcl_recv {
    if (req.restarts == 0) {
        # Nobody tells us what only we may know.
        unset req.http.X-Access;
        unset req.http.X-Token;
        unset req.http.X-Entry;
        set req.http.X-Forwarded-For = client.ip;
    }
    if (req.method == "OPTIONS") {
        return (pass); # what browsers ask before a request with Authorization
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (synth(405));
    }
    # Paths of ours have no other characters.
    if (req.url !~ "^/(live|videos)/[A-Za-z0-9._/-]+(\?.*)?$" || req.url ~ "^[^?]*(//|/\.)") {
        return (synth(404));
    }
    if (req.restarts == 0) {
        call wishes;
        call access;
    }
    # A token is checked for hits, too. The origin is asked for the entry playlist, once per token,
    # stream and minute: that answer comes to vcl_deliver, which begins the request anew.
    if (req.http.X-Access != "a" && !req.http.X-Entry) {
        set req.http.X-Entry = "ask";
    }
    if (req.http.X-Entry == "ask") {
        set req.url = regsub(req.http.X-Path, "^(/[a-z]+/[A-Za-z0-9._-]+)/.*$", "\1") + "/index.m3u8";
    } else {
        set req.url = req.http.X-Path;
        if (req.http.X-Wishes != "") {
            set req.url = req.url + "?" + req.http.X-Wishes;
        }
    }
    # Not return (hash) by the built-in rules: they pass requests with cookies or Authorization.
    return (hash);
}

# The parameters on which an answer depends, in one order. All else (CMCD, what players and people
# add) is neither in the key nor sent on.
sub wishes {
    set req.http.X-Path = regsub(req.url, "\?.*$", "");
    set req.http.X-Wishes = "";
    if (req.url ~ "[?&]_HLS_msn=")  { set req.http.X-Wishes = req.http.X-Wishes + "&_HLS_msn=" + regsub(req.url, "^[^?]*\?(.*&)?_HLS_msn=([^&]*).*$", "\2"); }
    if (req.url ~ "[?&]_HLS_part=") { set req.http.X-Wishes = req.http.X-Wishes + "&_HLS_part=" + regsub(req.url, "^[^?]*\?(.*&)?_HLS_part=([^&]*).*$", "\2"); }
    if (req.url ~ "[?&]_HLS_skip=") { set req.http.X-Wishes = req.http.X-Wishes + "&_HLS_skip=" + regsub(req.url, "^[^?]*\?(.*&)?_HLS_skip=([^&]*).*$", "\2"); }
    if (req.url ~ "[?&]dvr=")       { set req.http.X-Wishes = req.http.X-Wishes + "&dvr=" + regsub(req.url, "^[^?]*\?(.*&)?dvr=([^&]*).*$", "\2"); }
    if (req.url ~ "[?&]end=")       { set req.http.X-Wishes = req.http.X-Wishes + "&end=" + regsub(req.url, "^[^?]*\?(.*&)?end=([^&]*).*$", "\2"); }
    if (req.url ~ "[?&]profile=")   { set req.http.X-Wishes = req.http.X-Wishes + "&profile=" + regsub(req.url, "^[^?]*\?(.*&)?profile=([^&]*).*$", "\2"); }
    if (req.url ~ "[?&]start=")     { set req.http.X-Wishes = req.http.X-Wishes + "&start=" + regsub(req.url, "^[^?]*\?(.*&)?start=([^&]*).*$", "\2"); }
    set req.http.X-Wishes = regsub(req.http.X-Wishes, "^&", "");
}

# How a token came: a playlist that was asked for with ?token= has it in its links, and what was had
# without one is all that a stranger gets.
sub access {
    set req.http.X-Access = "a";
    # Players that do not know EXT-X-DEFINE (FFmpeg) send what stands in playlists in the token's
    # place; they have the cookie.
    set req.url = regsub(req.url, "([?&])token=(\{|%7[Bb])(\$|%24)token(\}|%7[Dd])", "\1token=");
    if (req.url ~ "[?&]token=[^&]") {
        set req.http.X-Access = "q";
        set req.http.X-Token = regsub(req.url, "^[^?]*\?(.*&)?token=([^&]*).*$", "\2");
        unset req.http.Authorization;
        unset req.http.Cookie;
    } elsif (req.http.Authorization) {
        set req.http.X-Access = "h";
        set req.http.X-Token = req.http.Authorization;
        unset req.http.Cookie;
    } elsif (req.http.Cookie ~ "(^|; *)sluice_play=[^;]") {
        set req.http.X-Access = "h";
        set req.http.X-Token = regsub(req.http.Cookie, "^(.*; *)?sluice_play=([^;]*).*$", "\2");
    } else {
        unset req.http.Cookie;
    }
}

sub vcl_hash {
    hash_data(req.http.X-Access);
    hash_data(req.url);
    if (req.http.X-Entry == "ask") {
        hash_data(req.http.X-Token);
        # A link that is bound to one address (sluice sign --remote) opens nothing for another.
        if (req.http.X-Token ~ "sl1\.[^. ]+\.[^. ]+\.1\.") {
            hash_data(client.ip);
        }
    }
    # Not the host: one stream has one key, under whatever name the cache is reached.
    return (lookup);
}

sub vcl_backend_fetch {
    # The token travels beside the key.
    if (bereq.http.X-Access == "q") {
        if (bereq.url ~ "\?") {
            set bereq.url = bereq.url + "&token=" + bereq.http.X-Token;
        } else {
            set bereq.url = bereq.url + "?token=" + bereq.http.X-Token;
        }
    }
    # Tokens are looked at here, so that what they open may be kept for others who have one.
    set bereq.http.Sluice-Edge = "checks-tokens"; # HERE: the node's hls.edge_secret, when it has one
    unset bereq.http.X-Token;
    unset bereq.http.X-Path;
    unset bereq.http.X-Wishes;
}

sub vcl_backend_response {
    # Nothing stale: an old playlist makes players wait for parts that have come.
    set beresp.grace = 0s;
    set beresp.keep = 0s;
    if (bereq.http.X-Entry == "ask") {
        # A verdict about a token; the answer's own life is about the playlist.
        unset beresp.http.Set-Cookie;
        unset beresp.http.Cache-Control;
        if (beresp.status == 200 || beresp.status == 404) {
            set beresp.ttl = 1m;
        } else {
            set beresp.ttl = 5s;
        }
        return (deliver);
    }
    # Lives are the origin's to say. Errors that say nothing are not kept (the default is 2 min), and
    # none longer than a target duration: a part that is not there may come.
    if (beresp.status >= 400) {
        if (!beresp.http.Cache-Control) {
            set beresp.ttl = 0s;
        } elsif (beresp.ttl > 6s) {
            set beresp.ttl = 6s;
        }
    }
    # The rest is built in: what is private, or sets a cookie, is for one client only, and for two
    # minutes nobody waits for somebody else's answer there.
}

sub vcl_deliver {
    if (req.http.X-Entry == "ask") {
        if (resp.status == 200 || resp.status == 404) {
            set req.http.X-Entry = "open";
            return (restart);
        }
        set resp.http.Cache-Control = "no-store";
    }
    unset resp.http.X-Varnish;
    unset resp.http.Via;
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    } else {
        set resp.http.X-Cache = "MISS";
    }
}
