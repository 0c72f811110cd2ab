#ifndef SERF_TESTING_AGENTS_CONTAINER_FOLDER_H_
#define SERF_TESTING_AGENTS_CONTAINER_FOLDER_H_

// ContainerFolder: a folder as a container sees it. The test mounts files of the host into it one
// by one, makes it read-only, or fills its disk. The program needs mounts of its own (own_files.h).
//
//   ContainerFolder folder(root);
//   ASSERT_TRUE(folder.Mount("keys.json", "[]"));  // docker run -v /etc/keys.json:/keys.json
//   ASSERT_TRUE(MakeReadOnly(folder.path()));

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "serf/testing/agents/own_files.h"

namespace serf::testkit {

class ContainerFolder {
 public:
  // Makes the folder and the host's folder below `root`. `root` must exist, and the caller removes
  // it.
  explicit ContainerFolder(const std::filesystem::path& root)
      : path_(root / "container"), host_(root / "host") {
    std::filesystem::create_directory(path_);
    std::filesystem::create_directory(host_);
  }
  ~ContainerFolder() { Uncover(path_); }
  ContainerFolder(const ContainerFolder&) = delete;
  ContainerFolder& operator=(const ContainerFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string PathOf(const std::string& name) const { return path_ + "/" + name; }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(PathOf(name)) << text;
  }
  std::string Read(const std::string& name) const { return TextOf(PathOf(name)); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

  // Writes a file of the host and mounts it over the file of that name, which must exist in the
  // folder.
  bool Mount(const std::string& name, const std::string& text) {
    std::ofstream(HostPathOf(name)) << text;
    return CoverFile(PathOf(name), HostPathOf(name));
  }
  std::string HostPathOf(const std::string& name) const { return host_ + "/" + name; }
  std::string ReadOnHost(const std::string& name) const { return TextOf(HostPathOf(name)); }

  // Mounts an empty disk over the folder. `size` has the form that CoverFolder() takes.
  bool MountDisk(const std::string& size) { return CoverFolder(path_, size); }
  // Writes the file "filler" until the disk has no room for another byte.
  bool FillDisk() {
    std::FILE* const filler = std::fopen(PathOf("filler").c_str(), "w");
    if (filler == nullptr) return false;
    std::setbuf(filler, nullptr);
    while (std::fputc('x', filler) != EOF) continue;
    std::fclose(filler);
    return true;
  }
  // Takes `bytes` of it away, so that as many are free again.
  void FreeDisk(std::size_t bytes) {
    const std::string filler = PathOf("filler");
    std::filesystem::resize_file(filler, std::filesystem::file_size(filler) - bytes);
  }

 private:
  static std::string TextOf(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  const std::string path_;
  const std::string host_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_AGENTS_CONTAINER_FOLDER_H_
