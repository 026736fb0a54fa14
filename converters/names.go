package converters

// Names are the converters that there are, as in key.converter and value.converter.
func Names() []string { return []string{JSON, String, Bytes} }

// Find is the converter that a name in a config stands for, which may be a class name; false if there is none.
func Find(name string) (string, bool) {
	switch found := canonical(name); found {
	case JSON, String, Bytes:
		return found, true
	}
	return "", false
}
