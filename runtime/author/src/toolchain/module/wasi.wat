;; What the Go runtime and wasi-libc ask of WASI preview 1, answered without WASI: the component that comes out imports nothing
;; but the plugin package. It has no memory of its own, so that no one takes pages that the Go runtime believes are its own.
(module
  (type $iov (func (param i32 i32 i32 i32) (result i32)))
  (import "env" "memory" (memory 0))
  (import "millrace:plugin/log@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
  (global $time (mut i64) (i64.const 1))
  (global $random (mut i64) (i64.const 0x9e3779b97f4a7c15))

  ;; No arguments and no variables: both counts and both sizes are 0.
  (func (export "args_sizes_get") (param i32 i32) (result i32) (call $zero (local.get 0)) (call $zero (local.get 1)) (i32.const 0))
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_sizes_get") (param i32 i32) (result i32) (call $zero (local.get 0)) (call $zero (local.get 1)) (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))
  (func $zero (param i32) (i32.store (local.get 0) (i32.const 0)))

  ;; Time that goes on by a microsecond with every question, so that answers repeat.
  (func (export "clock_res_get") (param i32 i32) (result i32) (i64.store (local.get 1) (i64.const 1000)) (i32.const 0))
  (func (export "clock_time_get") (param i32 i64 i32) (result i32)
    (global.set $time (i64.add (global.get $time) (i64.const 1000)))
    (i64.store (local.get 2) (global.get $time))
    (i32.const 0))

  ;; Numbers for hash seeds: xorshift, the same every time.
  (func (export "random_get") (param $at i32) (param $length i32) (result i32)
    (local $end i32)
    (local $x i64)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $x (global.get $random))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
        (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
        (global.set $random (local.get $x))
        (i64.store8 (local.get $at) (i64.shr_u (local.get $x) (i64.const 32)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  ;; What is written to standard output and error are log lines, of level info and error. Pieces are joined to
  ;; lines in memory that the plugin lends by a write to file 0x6d6c6c67; without it, each piece is a line.
  (global $line (mut i32) (i32.const 0))
  (global $room (mut i32) (i32.const 0))
  (global $used (mut i32) (i32.const 0))
  (global $level (mut i32) (i32.const 0))
  (func (export "fd_write") (param $fd i32) (param $pieces i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (local $length i32)
    (if (i32.eq (local.get $fd) (i32.const 0x6d6c6c67)) (then
      (global.set $line (i32.load (local.get $pieces)))
      (global.set $room (i32.load offset=4 (local.get $pieces)))
      (return (i32.const 0))))
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $length (i32.load offset=4 (local.get $pieces)))
        (call $print
          (select (i32.const 4) (i32.const 2) (i32.eq (local.get $fd) (i32.const 2)))
          (i32.load (local.get $pieces)) (local.get $length))
        (local.set $sum (i32.add (local.get $sum) (local.get $length)))
        (local.set $pieces (i32.add (local.get $pieces) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))
  (func $print (param $level i32) (param $at i32) (param $length i32)
    (local $byte i32)
    (if (i32.eqz (global.get $room)) (then
      ;; The end of a line is no part of it, and a piece that is nothing else is none.
      (if (local.get $length) (then
        (if (i32.eq (i32.const 10) (i32.load8_u (i32.sub (i32.add (local.get $at) (local.get $length)) (i32.const 1))))
          (then (local.set $length (i32.sub (local.get $length) (i32.const 1)))))))
      (if (local.get $length) (then
        (call $emit (local.get $level) (local.get $at) (local.get $length) (i32.const 4) (i32.const 0))))
      (return)))
    (if (i32.ne (local.get $level) (global.get $level)) (then (call $flush)))
    (global.set $level (local.get $level))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $length)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (if (i32.eq (local.get $byte) (i32.const 10))
          (then (call $flush))
          (else
            (i32.store8 (i32.add (global.get $line) (global.get $used)) (local.get $byte))
            (global.set $used (i32.add (global.get $used) (i32.const 1)))
            (if (i32.eq (global.get $used) (global.get $room)) (then (call $flush)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))
        (br $next))))
  (func $flush
    (local $used i32)
    (local.set $used (global.get $used))
    (global.set $used (i32.const 0))
    (if (local.get $used) (then
      (call $emit (global.get $level) (global.get $line) (local.get $used) (i32.const 4) (i32.const 0)))))
  (func (export "fd_read") (type $iov) (i32.store (local.get 3) (i32.const 0)) (i32.const 0))

  ;; No files: every descriptor but the first three is a bad one.
  (func (export "fd_close") (param i32) (result i32) (i32.const 0))
  (func (export "fd_fdstat_get") (param i32 i32) (result i32)
    (if (i32.gt_u (local.get 0) (i32.const 2)) (then (return (i32.const 8))))
    (i64.store (local.get 1) (i64.const 2))
    (i64.store offset=8 (local.get 1) (i64.const 64))
    (i64.store offset=16 (local.get 1) (i64.const 0))
    (i32.const 0))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 0))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 29))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))

  (func (export "sched_yield") (result i32) (i32.const 0))
  ;; Waiting takes no time: the clock jumps to the end of the pause. Waiting for a file fails.
  (func (export "poll_oneoff") (param $wanted i32) (param $events i32) (param $count i32) (param $found i32) (result i32)
    (local $until i64)
    (i32.store (local.get $found) (local.get $count))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (i64.store (local.get $events) (i64.load (local.get $wanted)))
        (i64.store offset=16 (local.get $events) (i64.const 0))
        (i64.store offset=24 (local.get $events) (i64.const 0))
        (i32.store8 offset=10 (local.get $events) (i32.load8_u offset=8 (local.get $wanted)))
        (if (i32.load8_u offset=8 (local.get $wanted))
          (then (i32.store16 offset=8 (local.get $events) (i32.const 8)))
          (else
            (i32.store16 offset=8 (local.get $events) (i32.const 0))
            (local.set $until (i64.load offset=24 (local.get $wanted)))
            (if (i32.eqz (i32.and (i32.load16_u offset=40 (local.get $wanted)) (i32.const 1)))
              (then (local.set $until (i64.add (local.get $until) (global.get $time)))))
            (if (i64.gt_u (local.get $until) (global.get $time))
              (then (global.set $time (local.get $until))))))
        (local.set $wanted (i32.add (local.get $wanted) (i32.const 48)))
        (local.set $events (i32.add (local.get $events) (i32.const 32)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.const 0))
  (func (export "proc_exit") (param i32) (call $flush) unreachable)

  ;; The rest of preview 1 is about files and sockets, of which there are none: error 8 is a bad descriptor.
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_datasync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 8))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "proc_raise") (param i32) (result i32) unreachable)
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8))
)
