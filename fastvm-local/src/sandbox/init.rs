//! Process 1 of a VM: a program of a few instructions that needs nothing of the VM's root, which may
//! be empty.
//!
//! It is not a copy of the server that goes on without `execve`: that would keep the server's memory
//! alive in the VM, with every secret in it, and show the server's arguments as `/proc/1/cmdline`.
//! Nor is it a program of the host, which needs a loader and libraries of the host in the VM. It
//! names itself `init`, then reads standard input until that is closed.

use std::fs::File;
use std::io::{self, Write};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Where the program is loaded: the usual place, aligned for pages of every size.
const ADDRESS: u64 = 0x40_0000;

/// Of the two headers, as ELF has them.
const FILE_HEADER: u16 = 64;
const PROGRAM_HEADER: u16 = 56;

/// The program as a file in memory, which nobody can change.
pub(super) fn create() -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let executable_flag = MFdFlags::from_bits_retain(libc::MFD_EXEC);
    let file = match memfd_create(c"init", flags | executable_flag) {
        // Before Linux 6.3, every such file could be executed.
        Err(Errno::EINVAL) => memfd_create(c"init", flags),
        made => made,
    };
    let mut file = File::from(file?);
    file.write_all(&executable())?;
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals | SealFlag::F_SEAL_SEAL))?;
    Ok(file)
}

/// An ELF file with one segment, which is the file.
fn executable() -> Vec<u8> {
    let code = code();
    let start = u64::from(FILE_HEADER) + u64::from(PROGRAM_HEADER);
    let length = start + code.len() as u64;
    let mut file = Vec::new();
    let little_endian_64 = [2, 1, 1];
    file.extend(b"\x7fELF");
    file.extend(little_endian_64);
    file.resize(16, 0);
    file.extend(u16s([EXECUTABLE, MACHINE]));
    file.extend(1u32.to_le_bytes());
    file.extend(u64s([ADDRESS + start, FILE_HEADER.into(), 0]));
    file.extend(FLAGS.to_le_bytes());
    file.extend(u16s([FILE_HEADER, PROGRAM_HEADER, 1, 0, 0, 0]));
    file.extend(LOAD.to_le_bytes());
    file.extend(READ_AND_EXECUTE.to_le_bytes());
    file.extend(u64s([0, ADDRESS, ADDRESS, length, length, 0x1_0000]));
    file.extend(code);
    file
}

const EXECUTABLE: u16 = 2;
const LOAD: u32 = 1;
const READ_AND_EXECUTE: u32 = 0b101;

fn u16s<const N: usize>(numbers: [u16; N]) -> impl Iterator<Item = u8> {
    numbers.into_iter().flat_map(u16::to_le_bytes)
}

fn u64s<const N: usize>(numbers: [u64; N]) -> impl Iterator<Item = u8> {
    numbers.into_iter().flat_map(u64::to_le_bytes)
}

fn code() -> &'static [u8] {
    unsafe extern "C" {
        static fastvm_init_begin: u8;
        static fastvm_init_end: u8;
    }
    let (begin, end) = (&raw const fastvm_init_begin, &raw const fastvm_init_end);
    // SAFETY: both labels are in one section, in this order, and what is between them is never
    // written.
    unsafe { std::slice::from_raw_parts(begin, end.addr() - begin.addr()) }
}

// Of each machine: prctl(PR_SET_NAME, "init"), then read(0, stack, 64) until it answers 0 or with an
// error other than EINTR, then exit_group(0).

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "x86_64")]
const FLAGS: u32 = 0;
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .rodata.fastvm_init, \"a\"",
    ".globl fastvm_init_begin",
    ".globl fastvm_init_end",
    "fastvm_init_begin:",
    "mov eax, 157",
    "mov edi, 15",
    "lea rsi, [rip + 3f]",
    "syscall",
    "sub rsp, 64",
    "2: xor eax, eax",
    "xor edi, edi",
    "mov rsi, rsp",
    "mov edx, 64",
    "syscall",
    "test rax, rax",
    "jg 2b",
    "cmp rax, -4",
    "je 2b",
    "mov eax, 231",
    "xor edi, edi",
    "syscall",
    "3: .asciz \"init\"",
    "fastvm_init_end:",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;
#[cfg(target_arch = "aarch64")]
const FLAGS: u32 = 0;
#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .rodata.fastvm_init, \"a\"",
    ".balign 8",
    ".globl fastvm_init_begin",
    ".globl fastvm_init_end",
    "fastvm_init_begin:",
    "mov x8, #167",
    "mov x0, #15",
    "adr x1, 3f",
    "svc #0",
    "sub sp, sp, #64",
    "2: mov x8, #63",
    "mov x0, #0",
    "mov x1, sp",
    "mov x2, #64",
    "svc #0",
    "cmp x0, #0",
    "b.gt 2b",
    "cmn x0, #4",
    "b.eq 2b",
    "mov x8, #94",
    "mov x0, #0",
    "svc #0",
    "3: .asciz \"init\"",
    "fastvm_init_end:",
    ".popsection",
);

#[cfg(target_arch = "riscv64")]
const MACHINE: u16 = 243;
/// Compressed instructions and registers for `double`, as every Linux has them.
#[cfg(target_arch = "riscv64")]
const FLAGS: u32 = 5;
// No relaxation: it would address the text by a register that this program does not set.
#[cfg(target_arch = "riscv64")]
std::arch::global_asm!(
    ".option push",
    ".option norelax",
    ".pushsection .rodata.fastvm_init, \"a\"",
    ".balign 8",
    ".globl fastvm_init_begin",
    ".globl fastvm_init_end",
    "fastvm_init_begin:",
    "li a7, 167",
    "li a0, 15",
    "lla a1, 3f",
    "ecall",
    "addi sp, sp, -64",
    "2: li a7, 63",
    "li a0, 0",
    "mv a1, sp",
    "li a2, 64",
    "ecall",
    "bgtz a0, 2b",
    "li t0, -4",
    "beq a0, t0, 2b",
    "li a7, 94",
    "li a0, 0",
    "ecall",
    "3: .asciz \"init\"",
    "fastvm_init_end:",
    ".popsection",
    ".option pop",
);

// Another machine says "exec format error" at the probe, until its instructions are added here.
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
const MACHINE: u16 = 0;
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
const FLAGS: u32 = 0;
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
std::arch::global_asm!(
    ".globl fastvm_init_begin",
    ".globl fastvm_init_end",
    "fastvm_init_begin:",
    "fastvm_init_end:",
);

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn it_runs_until_its_input_is_closed() -> io::Result<()> {
        let program = create()?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), program.as_raw_fd());
        let mut init = Command::new(path).stdin(Stdio::piped()).spawn()?;
        let mut stdin = init.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        for _ in 0..3 {
            stdin.write_all(&[1; 100])?;
        }
        assert_eq!(init.try_wait()?, None);
        drop(stdin);
        assert!(init.wait()?.success());
        Ok(())
    }

    #[test]
    fn it_cannot_be_changed() -> io::Result<()> {
        let mut program = create()?;
        assert!(program.write_all(b"more").is_err());
        assert!(program.set_len(0).is_err());
        Ok(())
    }
}
