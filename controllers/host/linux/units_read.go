package linux

import (
	"encoding/hex"
	"time"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/controllers/state"
)

// unitOf translates a unit's properties. A unit whose file has an error is not missing: it is
// inactive, and what is wrong comes out when it is started.
func unitOf(properties map[string]any, now time.Duration) state.Unit {
	text := func(key string) string {
		s, _ := properties[key].(string)
		return s
	}
	if text("LoadState") == "not-found" {
		return state.Unit{Missing: true}
	}
	id, _ := properties["InvocationID"].([]byte)
	stale, _ := properties["NeedDaemonReload"].(bool)
	restarts, _ := properties["NRestarts"].(uint32)
	unit := state.Unit{
		NeedsReload: stale,
		Enablement:  enablementOf(text("LoadState"), text("UnitFileState")),
		Activity:    activityOf(text("ActiveState")),
		Invocation:  hex.EncodeToString(id),
		Restarts:    int(restarts),
		Result:      text("Result"),
		Exec:        commandOf(properties["ExecStart"]),
	}
	if since, ok := properties["ActiveEnterTimestampMonotonic"].(uint64); ok && unit.Activity == state.Active {
		unit.Uptime = max(0, now-time.Duration(since)*time.Microsecond) //nolint:gosec // microseconds since the boot
	}
	return unit
}

// commandOf is the first command of an ExecStart= property, an array of (path, argv, …); systemd has
// split it into words and expanded its specifiers.
func commandOf(property any) []string {
	commands, _ := property.([][]any)
	if len(commands) == 0 || len(commands[0]) < 2 {
		return nil
	}
	argv, _ := commands[0][1].([]string)
	return argv
}

// monotonic is the time that systemd's monotonic timestamps count in.
func monotonic() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0 // not on Linux
	}
	return time.Duration(now.Nano())
}

// enablementOf maps systemctl(1)'s is-enabled table to what it means for the next boot.
func enablementOf(loadState, fileState string) state.Enablement {
	if loadState == "masked" {
		return state.Masked
	}
	switch fileState {
	case "enabled":
		return state.Enabled
	case "masked", "masked-runtime":
		return state.Masked
	case "disabled", "enabled-runtime", "linked", "linked-runtime":
		return state.Disabled
	}
	// static, indirect, alias, generated, transient, or no file at all.
	return state.Static
}

func activityOf(active string) state.Activity {
	switch active {
	case "active", "reloading", "refreshing":
		return state.Active
	case "activating":
		return state.Activating
	case "failed":
		return state.Failed
	}
	// inactive, deactivating, maintenance.
	return state.Inactive
}
