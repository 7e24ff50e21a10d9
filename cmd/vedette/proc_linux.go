package main

import "syscall"

// dieWithParent has the kernel end the process when we are gone.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
