//go:build !linux

package egress

func systemMakers() []maker { return nil }
