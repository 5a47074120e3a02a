package main

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Entry is one line of an access log, as slices of it. Texts in quotes are as the server escaped them.
type Entry struct {
	client, user           []byte
	time                   time.Time
	method, path, protocol []byte
	status                 int
	bytes                  int64
	referer, agent         []byte
	hasReferer, hasAgent   bool
}

const timeLayout = "02/Jan/2006:15:04:05 -0700"

// Parse takes a line apart: `client ident user [time] "request" status bytes "referer" "agent"`, where the last two
// may be missing and anything may follow. It says why a line is none; empty: it is one.
func (e *Entry) Parse(line []byte) string {
	*e = Entry{}
	// A user name may hold a quote or a blank, so the brackets of the time come first.
	before, rest, ok := bytes.Cut(line, []byte(" ["))
	stamp, rest, closed := bytes.Cut(rest, []byte("] \""))
	if !ok || !closed {
		return "not a line of an access log"
	}
	var ident []byte
	e.client, ident, ok = bytes.Cut(before, []byte(" "))
	_, e.user, _ = bytes.Cut(ident, []byte(" "))
	if !ok || len(e.client) == 0 || len(e.user) == 0 {
		return "not a line of an access log"
	}
	var err error
	if e.time, err = time.Parse(timeLayout, string(stamp)); err != nil {
		return "the time is none"
	}
	request, rest, ok := quoted(rest)
	if !ok {
		return "the request has no end"
	}
	if !e.parseRequest(request) {
		return "the request is no request of HTTP"
	}
	if !e.parseNumbers(&rest) {
		return "the status or the size is no number"
	}
	if after, ok := bytes.CutPrefix(rest, []byte(" \"")); ok {
		e.referer, after, e.hasReferer = quoted(after)
		if after, ok = bytes.CutPrefix(after, []byte(" \"")); ok {
			e.agent, _, e.hasAgent = quoted(after)
		}
	}
	return ""
}

// Cuts a text at its closing quote. Servers write a quote inside as \" or \x22.
func quoted(text []byte) (inside, after []byte, ok bool) {
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
		case '"':
			return text[:at], text[at+1:], true
		}
	}
	return nil, text, false
}

// Takes `GET /path HTTP/1.1` apart. HTTP/0.9 has no protocol.
func (e *Entry) parseRequest(request []byte) bool {
	var ok bool
	if e.method, e.path, ok = bytes.Cut(request, []byte(" ")); !ok || len(e.method) == 0 {
		return false
	}
	for _, letter := range e.method {
		if (letter|0x20) < 'a' || (letter|0x20) > 'z' {
			return false
		}
	}
	if at := bytes.LastIndexByte(e.path, ' '); at >= 0 && bytes.HasPrefix(e.path[at+1:], []byte("HTTP/")) {
		e.path, e.protocol = e.path[:at], e.path[at+1:]
	}
	return len(e.path) > 0
}

// Takes ` 200 5124` off the front. Apache writes - for no bytes.
func (e *Entry) parseNumbers(rest *[]byte) bool {
	status, after, ok := number(*rest)
	if !ok || status < 100 || status > 599 {
		return false
	}
	e.status = int(status)
	if dash, isDash := bytes.CutPrefix(after, []byte(" -")); isDash {
		*rest = dash
		return true
	}
	if len(after) == 0 {
		return false
	}
	e.bytes, *rest, ok = number(after)
	return ok
}

// Takes a blank and a number off the front.
func number(text []byte) (int64, []byte, bool) {
	if len(text) < 2 || text[0] != ' ' {
		return 0, text, false
	}
	end, value := 1, int64(0)
	for end < len(text) && text[end]-'0' <= 9 && end < 19 {
		value = value*10 + int64(text[end]-'0')
		end++
	}
	isOver := end == len(text) || text[end] == ' '
	return value, text[end:], end > 1 && isOver
}

// Header gives a field as text.
func (e *Entry) Header(name string) string {
	switch name {
	case "client":
		return valid(e.client)
	case "user":
		return valid(e.user)
	case "method":
		return valid(e.method)
	case "path":
		return valid(unescaped(e.path))
	default:
		return strconv.Itoa(e.status)
	}
}

// AppendJSON appends the line as one JSON object. A dash of the server, which means nothing, is null.
func (e *Entry) AppendJSON(out []byte) []byte {
	out = append(out, `{"time":"`...)
	out = e.time.AppendFormat(out, time.RFC3339)
	out = append(out, `","client":`...)
	out = appendText(out, e.client)
	out = append(out, `,"user":`...)
	out = appendTextOrNull(out, e.user)
	out = append(out, `,"method":`...)
	out = appendText(out, e.method)
	out = append(out, `,"path":`...)
	out = appendText(out, e.path)
	out = append(out, `,"protocol":`...)
	out = appendTextOrNull(out, e.protocol)
	out = append(out, `,"status":`...)
	out = strconv.AppendInt(out, int64(e.status), 10)
	out = append(out, `,"bytes":`...)
	out = strconv.AppendInt(out, e.bytes, 10)
	if e.hasReferer {
		out = append(out, `,"referer":`...)
		out = appendTextOrNull(out, e.referer)
	}
	if e.hasAgent {
		out = append(out, `,"agent":`...)
		out = appendTextOrNull(out, e.agent)
	}
	return append(out, '}')
}

func appendTextOrNull(out, text []byte) []byte {
	if len(text) == 0 || (len(text) == 1 && text[0] == '-') {
		return append(out, "null"...)
	}
	return appendText(out, text)
}

// Appends a text of the log as a text of JSON. What is no UTF-8 becomes U+FFFD.
func appendText(out, text []byte) []byte {
	out = append(out, '"')
	for text = unescaped(text); len(text) > 0; {
		letter := text[0]
		if letter < utf8.RuneSelf {
			text = text[1:]
			switch {
			case letter == '"' || letter == '\\':
				out = append(out, '\\', letter)
			case letter < 0x20 || letter == 0x7f:
				out = append(out, `\u00`...)
				out = append(out, "0123456789abcdef"[letter>>4], "0123456789abcdef"[letter&15])
			default:
				out = append(out, letter)
			}
			continue
		}
		r, size := utf8.DecodeRune(text)
		out = utf8.AppendRune(out, r)
		text = text[size:]
	}
	return append(out, '"')
}

// Takes back what the server escaped: \xHH, \n and the like, a backslash before anything else. Most texts have
// nothing of that and are given as they are.
func unescaped(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for at := 0; at < len(text); at++ {
		if text[at] != '\\' || at+1 == len(text) {
			out = append(out, text[at])
			continue
		}
		at++
		if text[at] == 'x' && at+2 < len(text) {
			if code, err := strconv.ParseUint(string(text[at+1:at+3]), 16, 8); err == nil {
				out = append(out, byte(code))
				at += 2
				continue
			}
		}
		if i := strings.IndexByte("nrtbv", text[at]); i >= 0 {
			out = append(out, "\n\r\t\b\v"[i])
		} else {
			out = append(out, text[at])
		}
	}
	return out
}

func valid(text []byte) string { return strings.ToValidUTF8(string(text), "\uFFFD") }
