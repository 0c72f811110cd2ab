#ifndef SERF_TESTING_AGENTS_OWN_FILES_H_
#define SERF_TESTING_AGENTS_OWN_FILES_H_

// Replaces files of the system for one test program and its children.
//
//   int main(int argc, char** argv) {
//     serf::testkit::MoveToOwnNetwork();
//     if (!serf::testkit::MoveToOwnFiles()) return 1;
//     ...
//   }
//   EXPECT_TRUE(CoverFile("/etc/resolv.conf", workshop.folder() / "resolv.conf"));

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <string>

namespace serf::testkit {

// Call it before the first thread starts, and after MoveToOwnNetwork(), which gives the necessary
// right. False if the system does not allow it.
inline bool MoveToOwnFiles() {
  // A private mount, because otherwise the covers would apply to the whole system.
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

// Shows `other` at `path`, where a file must exist; `other` can still be changed. Only after
// MoveToOwnFiles().
inline bool CoverFile(const std::string& path, const std::string& other) {
  return ::mount(other.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == 0;
}

// Shows an empty folder at `path`. `size` limits its content, in the form of tmpfs: "64k"; empty:
// half of the memory.
inline bool CoverFolder(const std::string& path, const std::string& size = "") {
  const std::string options = size.empty() ? "" : "size=" + size;
  return ::mount("none", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
}

// Undoes the last cover of `path`, with everything that was mounted into it since.
inline bool Uncover(const std::string& path) { return ::umount2(path.c_str(), MNT_DETACH) == 0; }

// Makes `path`, a folder or a file, read-only. Later mounts into it can be written to.
inline bool MakeReadOnly(const std::string& path) {
  struct statvfs info;
  if (!CoverFile(path, path) || ::statvfs(path.c_str(), &info) != 0) return false;
  // The flags that the system has set must stay set.
  return ::mount("none", path.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | info.f_flag,
                 nullptr) == 0;
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_AGENTS_OWN_FILES_H_
