package cli

import (
	"io"
	"log/slog"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
)

// logOptions are the flags of everything that runs for long.
type logOptions struct {
	json  bool
	debug bool
}

func (o *logOptions) addFlags(c *cobra.Command) {
	c.Flags().BoolVar(&o.json, "log-json", false, "write logs as JSON, one object a line")
	c.Flags().BoolVar(&o.debug, "log-debug", false, "write debugging logs too")
}

func (o *logOptions) logger(w io.Writer) logr.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if o.debug {
		options.Level = slog.Level(-4)
	}
	if o.json {
		return logr.FromSlogHandler(slog.NewJSONHandler(w, options))
	}
	return logr.FromSlogHandler(slog.NewTextHandler(w, options))
}
