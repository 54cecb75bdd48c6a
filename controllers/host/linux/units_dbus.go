package linux

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	// dialTimeout bounds connecting to a bus that accepts and does not answer.
	dialTimeout = 10 * time.Second
	// aliveEvery is how often a waiting job looks whether the connection still stands: when it
	// breaks, the job's result never comes.
	aliveEvery = time.Second
)

// units is host.Units by systemd's D-Bus interface (org.freedesktop.systemd1(5)).
type units struct {
	mu   sync.Mutex
	conn *dbus.Conn
	// hangUp ends the connection's context, which lives as long as it does.
	hangUp context.CancelFunc
}

func newUnits() *units { return &units{} }

// Close ends the connection to systemd, if there is one.
func (u *units) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.drop()
	return nil
}

func (u *units) drop() {
	if u.conn != nil {
		u.conn.Close()
		u.hangUp()
		u.conn, u.hangUp = nil, nil
	}
}

// connect returns the connection, and makes a new one where there is none or it has died: the bus or
// systemd itself may have been restarted.
func (u *units) connect(ctx context.Context) (*dbus.Conn, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn != nil && u.conn.Connected() {
		return u.conn, nil
	}
	u.drop()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	life, hangUp := context.WithCancel(context.Background())
	type dialled struct {
		conn *dbus.Conn
		err  error
	}
	result := make(chan dialled, 1)
	go func() {
		conn, err := dbus.NewWithContext(life)
		result <- dialled{conn, err}
	}()
	select {
	case <-ctx.Done():
		hangUp()
		return nil, fmt.Errorf("connecting to systemd: %w", context.Cause(ctx))
	case d := <-result:
		if d.err != nil {
			hangUp()
			return nil, fmt.Errorf("connecting to systemd: %w", d.err)
		}
		u.conn, u.hangUp = d.conn, hangUp
		return u.conn, nil
	}
}

// Get implements host.Units.
func (u *units) Get(ctx context.Context, name string) (state.Unit, error) {
	properties, err := u.properties(ctx, name)
	if err != nil {
		return state.Unit{}, err
	}
	return unitOf(properties, monotonic()), nil
}

func (u *units) properties(ctx context.Context, name string) (map[string]any, error) {
	if err := host.CheckUnit(name); err != nil {
		return nil, err
	}
	conn, err := u.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("unit %s: %w", name, err)
	}
	properties, err := conn.GetAllPropertiesContext(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("unit %s: %w", name, err)
	}
	return properties, nil
}

// SetEnablement implements host.Units, as systemctl(1) enable and disable do: with a daemon-reload.
func (u *units) SetEnablement(ctx context.Context, name string, e state.Enablement) error {
	properties, err := u.properties(ctx, name)
	if err != nil {
		return err
	}
	if err := settable(unitOf(properties, 0), e); err != nil {
		return fmt.Errorf("unit %s: cannot be %s: %w", name, e, err)
	}
	conn, err := u.connect(ctx)
	if err != nil {
		return fmt.Errorf("unit %s: %w", name, err)
	}
	if e == state.Enabled {
		var carriesInstall bool
		carriesInstall, _, err = conn.EnableUnitFilesContext(ctx, []string{name}, false, false)
		if err == nil && !carriesInstall {
			err = errStatic
		}
	} else {
		_, err = conn.DisableUnitFilesContext(ctx, []string{name}, false)
	}
	if err != nil {
		return fmt.Errorf("unit %s: cannot be %s: %w", name, e, err)
	}
	return u.DaemonReload(ctx)
}

func settable(unit state.Unit, e state.Enablement) error {
	switch {
	case e != state.Enabled && e != state.Disabled:
		return errors.New("this enablement is not set but found; want enabled or disabled")
	case unit.Missing:
		return errNoUnit
	case unit.Enablement == state.Masked:
		return errMasked
	}
	return nil
}

// DaemonReload implements host.Units.
func (u *units) DaemonReload(ctx context.Context) error {
	conn, err := u.connect(ctx)
	if err == nil {
		err = conn.ReloadContext(ctx)
	}
	if err != nil {
		return fmt.Errorf("systemd: daemon-reload: %w", err)
	}
	return nil
}

// Do implements host.Units.
func (u *units) Do(ctx context.Context, name string, verb host.Verb) error {
	properties, err := u.properties(ctx, name)
	if err != nil {
		return err
	}
	if err := u.do(ctx, name, verb, unitOf(properties, 0)); err != nil {
		return fmt.Errorf("unit %s: %s: %w", name, verb, err)
	}
	return nil
}

func (u *units) do(ctx context.Context, name string, verb host.Verb, unit state.Unit) error {
	switch {
	case unit.Missing && verb == host.Stop:
		return nil
	case unit.Missing:
		return errNoUnit
	case unit.Enablement == state.Masked && verb != host.Stop:
		return errMasked
	}
	conn, err := u.connect(ctx)
	if err != nil {
		return err
	}
	starts := verb == host.Start || verb == host.Restart
	if starts && unit.Activity == state.Failed {
		// Otherwise a unit that used up StartLimitBurst is refused although its cause is cured.
		if err := conn.ResetFailedUnitContext(ctx, name); err != nil {
			return fmt.Errorf("reset-failed: %w", err)
		}
	}
	ask := map[host.Verb]func(context.Context, string, string, chan<- string) (int, error){
		host.Start: conn.StartUnitContext, host.Stop: conn.StopUnitContext,
		host.Restart: conn.RestartUnitContext, host.Reload: conn.ReloadUnitContext,
	}[verb]
	if ask == nil {
		return errors.New("want start, stop, restart or reload")
	}
	// Buffered: the library delivers results while holding its lock, whether or not we still wait.
	result := make(chan string, 1)
	if _, err := ask(ctx, name, "replace", result); err != nil {
		return err
	}
	return wait(ctx, conn, result)
}

// JobError is a systemd job that did not end as "done"; Result is systemd's word for how it ended:
// canceled, timeout, failed, dependency, skipped, invalid, assert, unsupported, collected, once.
type JobError struct{ Result string }

func (e *JobError) Error() string {
	return fmt.Sprintf("systemd's job ended as %q; the unit's journal says why", e.Result)
}

var errConnectionLost = errors.New("the connection to systemd broke while waiting; whether it happened is seen in the next pass")

func wait(ctx context.Context, conn *dbus.Conn, result <-chan string) error {
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		select {
		case how := <-result:
			if how != "done" {
				return &JobError{Result: how}
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("waiting for systemd's job: %w", context.Cause(ctx))
		case <-alive.C:
			if !conn.Connected() {
				return errConnectionLost
			}
		}
	}
}
