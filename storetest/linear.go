package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/vedettehq/vedette"
)

// A leaseCall is an Acquire, or a Release of what an owner was granted last.
type leaseCall struct {
	owner   string
	release int64 // the token to release; 0 acquires
}

// A leaseState is who holds the one lease, under which token; nobody if owner is "".
type leaseState struct {
	owner string
	token int64
}

// leaseModel is a lease that does not expire. The output of an Acquire is the token granted,
// or 0.
func leaseModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return leaseState{} },
		Step: func(state, input, output any) (bool, any) {
			s, call, got := state.(leaseState), input.(leaseCall), output.(int64)
			switch {
			case call.release != 0 && s == leaseState{call.owner, call.release}:
				return true, leaseState{token: s.token}
			case call.release != 0:
				return true, s
			case s.owner == "":
				return got > s.token, leaseState{call.owner, got}
			case s.owner == call.owner:
				return got == s.token, s
			}
			return got == 0, s
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %v", input, output) },
	}
}

// testLinearizable lets six owners acquire and release at random, and asks whether some order
// of the calls, each between its begin and its end, explains all answers.
func testLinearizable(t *testing.T, l vedette.Leaser) {
	var (
		mu    sync.Mutex
		calls []porcupine.Operation
		done  sync.WaitGroup
		begun = time.Now()
	)
	for client := range 6 {
		done.Go(func() {
			call := leaseCall{owner: fmt.Sprint(client)}
			for range 25 {
				from := time.Since(begun)
				token, err := call.do(t.Context(), l)
				if err != nil {
					t.Errorf("%+v: %v", call, err)
					return
				}
				mu.Lock()
				calls = append(calls, porcupine.Operation{
					ClientId: client, Input: call, Output: token,
					Call: from.Nanoseconds(), Return: time.Since(begun).Nanoseconds(),
				})
				mu.Unlock()
				call.release = 0
				if token != 0 && rand.IntN(3) > 0 {
					call.release = token
				}
			}
		})
	}
	done.Wait()
	if got := porcupine.CheckOperationsTimeout(leaseModel(), calls, 20*time.Second); got == porcupine.Illegal {
		t.Errorf("no order of these %d calls explains their answers: %v", len(calls), calls)
	}
}

func (c leaseCall) do(ctx context.Context, l vedette.Leaser) (int64, error) {
	if c.release != 0 {
		return 0, l.Release(ctx, vedette.Lease{Name: "x", Owner: c.owner, Token: c.release})
	}
	held, err := l.Acquire(ctx, c.owner, time.Hour, "x")
	if err != nil || len(held) == 0 {
		return 0, err
	}
	return held[0].Token, nil
}
