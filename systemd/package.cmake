# `cpack -G DEB`, or scripts/package: one .deb with programs, units, man pages, completion and an empty /etc/leat.
include(GNUInstallDirs)

# Packages of two Debians differ in the libraries they want, and that of the later one is the later version.
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
if(EXISTS /etc/os-release)
  file(STRINGS /etc/os-release id REGEX "^VERSION_ID=")
  string(REGEX REPLACE "[^0-9.]" "" id "${id}")
  if(id)
    string(APPEND CPACK_PACKAGE_VERSION "+deb${id}")
  endif()
endif()

install(TARGETS leat-generator RUNTIME DESTINATION lib/systemd/system-generators)
install(FILES systemd/leatd.service systemd/leat-processor@.service systemd/leat.slice DESTINATION lib/systemd/system)
install(FILES systemd/sysusers.d/leat.conf DESTINATION lib/sysusers.d)
install(FILES systemd/tmpfiles.d/leat.conf DESTINATION lib/tmpfiles.d)
install(FILES systemd/completion/leat.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME leat)
install(FILES systemd/completion/_leat DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES docs/systemd.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY config/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES config/pipeline.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/leat)

# What only a package has. /etc is absolute, so `cmake --install` leaves it alone unless asked for this component.
configure_file(systemd/debian/changelog.in ${CMAKE_BINARY_DIR}/package/changelog @ONLY)
find_program(LEAT_GZIP gzip)
if(LEAT_GZIP)
  execute_process(COMMAND ${LEAT_GZIP} -9nkf ${CMAKE_BINARY_DIR}/package/changelog)
endif()
set(package_only COMPONENT package EXCLUDE_FROM_ALL)
install(FILES ${CMAKE_BINARY_DIR}/package/changelog.gz systemd/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR} ${package_only})
install(FILES systemd/example.yaml.disabled DESTINATION /etc/leat/pipelines.d ${package_only})
install(FILES systemd/debian/lintian-overrides DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME leat ${package_only})
# Debian wants man pages compressed.
install(CODE [[
  file(GLOB pages "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/share/man/man*/leat*.[158]")
  foreach(page ${pages})
    execute_process(COMMAND gzip -9nf "${page}")
  endforeach()
]] COMPONENT package EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};leat;ALL;/" "${CMAKE_BINARY_DIR};leat;package;/")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_NAME leat)
set(CPACK_PACKAGE_CONTACT "leat maintainers <maintainers@leat.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "long-running ingestion of JSON Lines from a NAS")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "leat takes JSON Lines files (plain, zstd or gzip) from a mount, drops the
records that are not wanted, transforms the rest in a pool of processes and
writes them out. It holds a fixed, small amount of memory, and loses and
repeats nothing, whatever dies in between.

The daemon leatd runs every pipeline in /etc/leat/pipelines.d.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(control ${CMAKE_SOURCE_DIR}/systemd/debian)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${control}/conffiles ${control}/postinst ${control}/prerm ${control}/postrm)
include(CPack)
