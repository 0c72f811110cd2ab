#ifndef SERF_TESTING_AGENTS_OWN_FILES_H_
#define SERF_TESTING_AGENTS_OWN_FILES_H_

// Files of the system as one test program and its children see them: others stand in their place.
//
//   int main(int argc, char** argv) {
//     serf::testing::MoveToOwnNetwork();
//     if (!serf::testing::MoveToOwnFiles()) return 1;
//     ...
//   }
//   EXPECT_TRUE(CoverFile("/etc/resolv.conf", workshop.folder() / "resolv.conf"));

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <string>

namespace serf::testing {

// Before the first thread, and after MoveToOwnNetwork(), which gives the right to it. False if the
// system does not allow it.
inline bool MoveToOwnFiles() {
  // Private: else what is covered here would be covered for the whole system.
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

// `other` is seen, and can still be changed, at `path`, where there must be a file. After
// MoveToOwnFiles() only.
inline bool CoverFile(const std::string& path, const std::string& other) {
  return ::mount(other.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == 0;
}

// The folder at `path` is seen as an empty one, which may hold `size` (as of tmpfs: "64k"; empty:
// half of the memory).
inline bool CoverFolder(const std::string& path, const std::string& size = "") {
  const std::string options = size.empty() ? "" : "size=" + size;
  return ::mount("none", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
}

// Takes back the last of these, and all that was mounted into it since.
inline bool Uncover(const std::string& path) { return ::umount2(path.c_str(), MNT_DETACH) == 0; }

// Nothing at `path`, a folder or a file, can be written to; what is mounted into it later can.
inline bool MakeReadOnly(const std::string& path) {
  struct statvfs info;
  if (!CoverFile(path, path) || ::statvfs(path.c_str(), &info) != 0) return false;
  // What the system has set may not be taken back.
  return ::mount("none", path.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | info.f_flag,
                 nullptr) == 0;
}

}  // namespace serf::testing

#endif  // SERF_TESTING_AGENTS_OWN_FILES_H_
