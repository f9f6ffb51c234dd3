package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// As much as a request to kube-apiserver is given, or less.
const patience = 15 * time.Second

// Creates, updates and deletes objects, one after the other.
type pods struct {
	client  *clientv3.Client
	account *account
	prefix  string
}

func (p *pods) write(ctx context.Context) {
	for count := 0; ctx.Err() == nil; count++ {
		p.life(ctx, fmt.Sprintf("%s-%d", p.prefix, count), count%10 != 0)
	}
}

// One object, from its creation to its deletion, if it ends at all.
func (p *pods) life(ctx context.Context, key string, ends bool) {
	revision := int64(0)
	for version := 1; version <= 4; version++ {
		value := fmt.Sprintf("%s version %d", key, version)
		if revision = p.change(ctx, key, revision, value); revision == 0 {
			return
		}
		rest(ctx, 100*time.Millisecond)
	}
	if ends {
		p.change(ctx, key, revision, "")
	}
}

// A transaction that holds only if the key is as it was left. One whose answer is lost is tried again: where it was
// done, that finds the key changed. No value deletes. Returns its revision; 0 where it was given up.
func (p *pods) change(ctx context.Context, key string, before int64, value string) int64 {
	began, op := time.Now(), clientv3.OpPut(key, value)
	if value == "" {
		op = clientv3.OpDelete(key)
	}
	for ctx.Err() == nil {
		answer, err := p.commit(key, before, op)
		switch {
		case err != nil:
			p.account.failed("write", err)
			rest(ctx, 200*time.Millisecond)
		case answer.Succeeded:
			p.account.acknowledged(key, answer.Header.Revision, began)
			return answer.Header.Revision
		default:
			return p.resolve(key, value, answer.Responses[0].GetResponseRange().Kvs, began)
		}
	}
	return 0
}

func (p *pods) commit(key string, before int64, op clientv3.Op) (*clientv3.TxnResponse, error) {
	limited, end := context.WithTimeout(context.Background(), patience)
	defer end()
	same := clientv3.Compare(clientv3.ModRevision(key), "=", before)
	return p.client.Txn(limited).If(same).Then(op).Else(clientv3.OpGet(key)).Commit()
}

// What the key is instead tells whether a write without an answer was done.
func (p *pods) resolve(key, value string, found []*mvccpb.KeyValue, began time.Time) int64 {
	switch {
	case value == "" && len(found) == 0:
		p.account.count(func(s *State) { s.Resolved++ })
	case len(found) == 1 && string(found[0].Value) == value:
		p.account.count(func(s *State) { s.Resolved++ })
		p.account.acknowledged(key, found[0].ModRevision, began)
		return found[0].ModRevision
	default:
		p.account.count(func(s *State) { s.Vanished++ })
	}
	return 0
}

// Writes objects that nobody deletes: a lease does, which several share, as kube-apiserver's events do.
type events struct {
	client  *clientv3.Client
	account *account
	prefix  string
	lease   clientv3.LeaseID
	until   time.Time
}

func (e *events) write(ctx context.Context) {
	for count := 0; ctx.Err() == nil; count++ {
		if err := e.one(fmt.Sprintf("%s-%d", e.prefix, count)); err != nil && ctx.Err() == nil {
			e.account.failed("event", err)
		}
		rest(ctx, 200*time.Millisecond)
	}
}

func (e *events) one(key string) error {
	began := time.Now()
	limited, end := context.WithTimeout(context.Background(), patience)
	defer end()
	if time.Now().After(e.until) {
		lease, err := e.client.Grant(limited, 30)
		if err != nil {
			return err
		}
		e.lease, e.until = lease.ID, time.Now().Add(5*time.Second)
	}
	put := clientv3.OpPut(key, "an event", clientv3.WithLease(e.lease))
	absent := clientv3.Compare(clientv3.ModRevision(key), "=", 0)
	answer, err := e.client.Txn(limited).If(absent).Then(put).Commit()
	if err == nil && answer.Succeeded {
		e.account.acknowledged(key, answer.Header.Revision, began)
	}
	if err != nil {
		e.until = time.Time{} // a restored cluster does not know the lease
	}
	return err
}

// Compacts to where the history was a round ago, if no other one did so meanwhile: compact_rev_key's version tells
// (k8s.io/apiserver, pkg/storage/etcd3/compact.go).
type compactor struct {
	client   *clientv3.Client
	account  *account
	version  int64
	revision int64
}

func (c *compactor) round(ctx context.Context) {
	limited, end := context.WithTimeout(ctx, patience)
	defer end()
	const key = "compact_rev_key"
	answer, err := c.client.Txn(limited).
		If(clientv3.Compare(clientv3.Version(key), "=", c.version)).
		Then(clientv3.OpPut(key, strconv.FormatInt(c.revision, 10))).
		Else(clientv3.OpGet(key)).
		Commit()
	if err != nil {
		c.account.failed("compaction", err)
		return
	}
	last := c.revision
	c.revision = answer.Header.Revision
	if !answer.Succeeded {
		c.version = answer.Responses[0].GetResponseRange().Kvs[0].Version
		return
	}
	c.version++
	if last == 0 {
		return
	}
	if _, err := c.client.Compact(limited, last); err != nil {
		c.account.failed("compaction", err)
		return
	}
	c.account.count(func(s *State) { s.Compactions++ })
}
