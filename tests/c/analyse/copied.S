/* Ways in which a number gets into eax. */
        .globl  _start
        .text
_start: xorl    %eax, %eax
        movb    $56, %al
        syscall                         /* clone */
        movl    $110, %ebx
        movl    %ebx, %r12d
        cmpq    $0, (%rsp)
        je      1f
        movl    $111, %r12d
1:      movl    %r12d, %eax
        syscall                         /* getppid or getpgrp */
        push    $39
        pop     %rax
        syscall                         /* getpid */
        movl    $100, %ecx
        leal    2(%rcx), %eax
        syscall                         /* getuid */
        movl    $104, %edi
        call    pass                    /* getgid, through a function */
        orl     $-1, %edi
        xorl    %edi, %edi
        movl    $231, %eax
        syscall                         /* exit_group */
        hlt
pass:   movq    %rdi, %rax
        syscall
        ret
        .section .note.GNU-stack, "", @progbits
