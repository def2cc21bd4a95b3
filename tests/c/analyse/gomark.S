/* The mark of a Go program: its functions may be called through distances that no reader of addresses sees. */
        .globl  _start
        .text
        .type   _start, @function
_start: movl    $60, %eax
        syscall
        hlt
        .type   method, @function
method: movl    $110, %eax
        syscall                         /* getppid */
        ret
        .section .go.buildinfo, "aw", @progbits
        .ascii  "\377 Go buildinf:"
        .section .note.GNU-stack, "", @progbits
