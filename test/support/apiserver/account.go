package main

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net/url"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// One change of a key. A lease that ends deletes several keys at one revision.
type change struct {
	revision int64
	key      string
}

// What was acknowledged, what was seen of it, and what went wrong meanwhile.
type account struct {
	mutex   sync.Mutex
	awaited map[change]bool // acknowledged, and not seen yet
	seen    map[change]bool
	reached map[string]int64 // by prefix: how far its watch has come, or its list
	listed  map[string]int64 // by prefix: up to where a list stood for the events
	figures State
}

// State is what is printed. What may not be: lost, doubled, disordered, unequal, vanished, denied.
type State struct {
	Final        bool           `json:"final"`
	Acknowledged int            `json:"acknowledged"`
	Resolved     int            `json:"resolved"` // the answer was lost, and reading told that it was done
	Seen         int            `json:"seen"`
	Lost         int            `json:"lost"`
	Doubled      int            `json:"doubled"`
	Disordered   int            `json:"disordered"`
	Unequal      int            `json:"unequal"`  // keys in which a cache differs from a list, in the end
	Vanished     int            `json:"vanished"` // acknowledged, and found otherwise than it was left
	Ghosts       int            `json:"ghosts"`   // keys of a cache that a list after ErrCompacted no longer had
	Denied       int            `json:"denied"`
	Lists        int            `json:"lists"`
	Relists      int            `json:"relists"` // after ErrCompacted
	Watches      int            `json:"watches"`
	Progress     int            `json:"progress"`
	Compactions  int            `json:"compactions"`
	Slowest      int64          `json:"slowestMs"` // write since the last line, with all that it was tried
	Failures     map[string]int `json:"failures"`  // what was tried again, by what it was
	LastError    string         `json:"lastError"`
	Handshake    string         `json:"handshake"` // why a connection was refused when the health key was unreadable
}

func newAccount() *account {
	return &account{
		awaited: map[change]bool{},
		seen:    map[change]bool{},
		reached: map[string]int64{},
		listed:  map[string]int64{},
		figures: State{Failures: map[string]int{}},
	}
}

// A write that was begun then, however often it was tried since.
func (a *account) acknowledged(key string, revision int64, began time.Time) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.figures.Slowest = max(a.figures.Slowest, time.Since(began).Milliseconds())
	a.figures.Acknowledged++
	if one := (change{revision, key}); !a.seen[one] && revision > under(a.listed, key) {
		a.awaited[one] = true
	}
}

// An event of a watch; its revision may not be lower than least.
func (a *account) saw(key string, revision, least int64) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	one := change{revision, key}
	a.figures.Seen++
	if a.seen[one] {
		a.figures.Doubled++
	} else if revision < least {
		a.figures.Disordered++
	}
	a.seen[one] = true
	delete(a.awaited, one)
}

// All changes below prefix up to revision have been shown by events.
func (a *account) reachedTo(prefix string, revision int64) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.reached[prefix] = revision
}

// A list has shown all that is below prefix: no event will come for what was changed up to revision.
func (a *account) listedAt(prefix string, revision int64) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.reached[prefix], a.listed[prefix] = revision, revision
	for one := range a.awaited {
		if strings.HasPrefix(one.key, prefix) && one.revision <= revision {
			delete(a.awaited, one)
		}
	}
}

// What is noted of the prefix that the key has.
func under(noted map[string]int64, key string) int64 {
	for prefix, revision := range noted {
		if strings.HasPrefix(key, prefix) {
			return revision
		}
	}
	return 0
}

func (a *account) count(figure func(*State)) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	figure(&a.figures)
}

func (a *account) failed(what string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	a.count(func(s *State) {
		s.Failures[what]++
		s.LastError = what + ": " + err.Error()
		if isDenied(err) {
			s.Denied++
		}
	})
}

func (a *account) refused(err error) {
	if err != nil {
		a.count(func(s *State) { s.Handshake = err.Error() })
	}
}

func isDenied(err error) bool {
	code := status.Code(err)
	return code == codes.PermissionDenied || code == codes.Unauthenticated ||
		strings.Contains(err.Error(), "permission denied") || strings.Contains(err.Error(), "user name is empty")
}

// Lost is what the watch has gone past without having shown it.
func (a *account) state(final bool) State {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	state := a.figures
	state.Final, state.Failures = final, maps.Clone(a.figures.Failures)
	a.figures.Slowest = 0
	for one := range a.awaited {
		if final || one.revision <= under(a.reached, one.key) {
			state.Lost++
		}
	}
	return state
}

// What a new connection to the members says; nil where one of them takes it.
func handshake(endpoints []string, config *tls.Config) (last error) {
	for _, endpoint := range endpoints {
		address, err := url.Parse(endpoint)
		if err != nil {
			return err
		}
		named := config.Clone()
		named.ServerName = address.Hostname()
		connection, err := tls.Dial("tcp", address.Host, named)
		if err == nil {
			return connection.Close()
		}
		last = err
	}
	return last
}
