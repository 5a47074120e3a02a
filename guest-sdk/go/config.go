package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Defaults is implemented by options that have default values. It is called before the options are read.
type Defaults interface{ SetDefaults() }

// ReadConfig reads options, one JSON object, into a struct, and gives all mistakes at once.
//
// Fields are named by json tags; the tag `plugin:"required"` makes one required. Unknown options are mistakes. A
// slice takes a single value, too, because the agent cannot tell one value from a list of one. Types with a method
// UnmarshalJSON or UnmarshalText read themselves.
func ReadConfig(text []byte, into any) Issues {
	if defaults, ok := into.(Defaults); ok {
		defaults.SetDefaults()
	}
	var issues Issues
	if !json.Valid(text) {
		return Issues{{Reason: "expected JSON"}}
	}
	read(text, reflect.ValueOf(into).Elem(), "", &issues)
	return issues
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func read(text []byte, into reflect.Value, path string, issues *Issues) {
	t := into.Type()
	isOwn := reflect.PointerTo(t).Implements(unmarshaler)
	text = bytes.TrimSpace(text)
	switch {
	case isOwn:
		readValue(text, into, path, issues)
	case t.Kind() == reflect.Struct:
		readStruct(text, into, path, issues)
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		readSlice(text, into, path, issues)
	case t.Kind() == reflect.Pointer:
		value := reflect.New(t.Elem())
		read(text, value.Elem(), path, issues)
		into.Set(value)
	default:
		readValue(text, into, path, issues)
	}
}

func readStruct(text []byte, into reflect.Value, path string, issues *Issues) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		issues.Add(path, "expected options, found "+kindOf(text))
		return
	}
	var names []string
	t := into.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		names = append(names, name)
		at := path + "/" + escaped(name)
		if member, ok := members[name]; ok {
			read(member, into.Field(i), at, issues)
		} else if field.Tag.Get("plugin") == "required" {
			issues.Add(path, fmt.Sprintf("the option %q is missing", name))
		}
	}
	unknown := []string{}
	for name := range members {
		if !slices.Contains(names, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		reason := "unknown option; there are none"
		if len(names) > 0 {
			reason = "unknown option; there are: " + strings.Join(names, ", ")
		}
		issues.Add(path+"/"+escaped(name), reason)
	}
}

func readSlice(text []byte, into reflect.Value, path string, issues *Issues) {
	var items []json.RawMessage
	if json.Unmarshal(text, &items) != nil {
		list := reflect.MakeSlice(into.Type(), 1, 1)
		read(text, list.Index(0), path, issues)
		into.Set(list)
		return
	}
	list := reflect.MakeSlice(into.Type(), len(items), len(items))
	for i, item := range items {
		read(item, list.Index(i), fmt.Sprintf("%s/%d", path, i), issues)
	}
	into.Set(list)
}

func readValue(text []byte, into reflect.Value, path string, issues *Issues) {
	err := json.Unmarshal(text, into.Addr().Interface())
	if err == nil {
		return
	}
	if _, ok := err.(*json.UnmarshalTypeError); !ok {
		issues.Add(path, err.Error())
		return
	}
	expected := map[bool]string{true: "an integer in range"}[into.CanInt() || into.CanUint()]
	switch {
	case expected != "":
	case into.CanFloat():
		expected = "a number"
	case into.Kind() == reflect.String:
		expected = "a text"
	case into.Kind() == reflect.Bool:
		expected = "true or false"
	default:
		expected = "something else"
	}
	issues.Add(path, "expected "+expected+", found "+kindOf(text))
}

// Names what stands in JSON.
func kindOf(text []byte) string {
	if len(text) == 0 {
		return "nothing"
	}
	switch text[0] {
	case '{':
		return "options"
	case '[':
		return "a list"
	case '"':
		return "a text"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	default:
		return "the number " + string(text)
	}
}

// Escapes a name for a JSON pointer.
func escaped(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
