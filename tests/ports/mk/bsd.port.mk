# A stand-in for FreeBSD's bsd.port.mk, so that ports can be tested where there is no FreeBSD:
#
#   bmake -m tests/ports/mk fetch | makesum | checksum | extract | patch | build | stage |
#                           check-plist | package | clean
#
# It is written from the documented meaning of the variables (Porter's Handbook), and does what they
# say: it fetches, compares, unpacks, builds and installs. It knows nothing of dependencies, options
# and flavours.

_MK:=		${.PARSEDIR}
_HELPERS=	${_MK:H}/bin

PORTSDIR?=	/usr/ports
LOCALBASE?=	/usr/local
PREFIX?=	${LOCALBASE}
DISTDIR?=	${PORTSDIR}/distfiles
WRKDIRPREFIX?=	# empty
ARCH?=		amd64
UID_FILES?=	${PORTSDIR}/UIDs
GID_FILES?=	${PORTSDIR}/GIDs
OVERLAYS?=	# empty
PATH:=		${_HELPERS}:${PATH}
.export PATH

# Commands

BSDTAR?=	bsdtar
CP=		/bin/cp
ECHO_MSG=	echo
FALSE=		false
FETCH_CMD=	fetch
GMAKE=		make
GREP=		/bin/grep
INSTALL=	install
LN=		/bin/ln
MKDIR=		/bin/mkdir -p
RM=		/bin/rm -f
SETENV=		/usr/bin/env
SH=		/bin/sh
SHA256=		sha256
TAR=		${BSDTAR}
TOUCH=		touch
CC?=		cc
CFLAGS?=	-O2
MAKE_JOBS_NUMBER?=	2
STRIP?=		-s
INSTALL_PROGRAM=	${INSTALL} ${STRIP} -m 555
INSTALL_DATA=	${INSTALL} -m 0644
INSTALL_MAN=	${INSTALL} -m 444

# Names

.if ${PORTREVISION:U0} != 0
_REVISION=	_${PORTREVISION}
.endif
PKGNAME=	${PORTNAME}-${PORTVERSION:C/[-~]/./g}${_REVISION}
DISTNAME?=	${PORTNAME}-${PORTVERSION}
EXTRACT_SUFX?=	.tar.gz
DISTFILES?=	${DISTNAME}${EXTRACT_SUFX}
_NAMES=		${DISTFILES:C/:[^:\/]*$//}
EXTRACT_ONLY?=	${_NAMES}
DISTINFO_FILE?=	${.CURDIR}/distinfo
FILESDIR?=	${.CURDIR}/files
PATCHDIR?=	${.CURDIR}/files
PLIST?=		${.CURDIR}/pkg-plist
_DISTDIR=	${DISTDIR}${DIST_SUBDIR:D/${DIST_SUBDIR}}
WRKDIR?=	${WRKDIRPREFIX}${.CURDIR}/work
.if defined(NO_WRKSUBDIR)
WRKSRC?=	${WRKDIR}
.else
WRKSRC?=	${WRKDIR}/${DISTNAME}
.endif
STAGEDIR?=	${WRKDIR}/stage
PKGFILE?=	${WRKDIR}/pkg/${PKGNAME}.tar
_LICENSE_DIR=	share/licenses/${PKGNAME}
_SUBSTITUTE=	sed -e 's,%%PREFIX%%,${PREFIX},g' -e 's,%%LOCALBASE%%,${LOCALBASE},g'

.if defined(ONLY_FOR_ARCHS) && empty(ONLY_FOR_ARCHS:M${ARCH})
IGNORE=		is only for ${ONLY_FOR_ARCHS}, while you are running ${ARCH}
.endif

_ASK=		${.MAKE} -m ${_MK} -C ${.CURDIR} -V
_ENVIRONMENT=	DISTDIR=${_DISTDIR} DISTINFO=${DISTINFO_FILE} SUBDIR=${DIST_SUBDIR} \
		OVERRIDE="${MASTER_SITE_OVERRIDE}" BACKUP="${MASTER_SITE_BACKUP}"

.MAIN: build

# Lists go through pipes, not arguments: Linux limits the length of one.
fetch: check-sanity
	@{ ${_ASK} '$${MASTER_SITES}'; ${_ASK} '$${DISTFILES}'; } | ${_ENVIRONMENT} ${SH} ${_HELPERS}/distfiles fetch

makesum: check-sanity
	@{ ${_ASK} '$${MASTER_SITES}'; ${_ASK} '$${DISTFILES}'; } | ${_ENVIRONMENT} NO_CHECKSUM=yes \
		${SH} ${_HELPERS}/distfiles fetch
	@${_ASK} '$${DISTFILES}' | ${_ENVIRONMENT} ${SH} ${_HELPERS}/distfiles makesum

checksum: fetch
	@${_ASK} '$${DISTFILES}' | ${_ENVIRONMENT} ${SH} ${_HELPERS}/distfiles checksum

check-sanity:
.if defined(IGNORE)
	@${ECHO_MSG} "===>  ${PKGNAME} ${IGNORE}."; ${FALSE}
.endif
.for variable in PORTNAME PORTVERSION CATEGORIES MAINTAINER COMMENT
.  if empty(${variable})
	@${ECHO_MSG} "Makefile: ${variable} is not set"; ${FALSE}
.  endif
.endfor

# Each of these phases runs once, after those before it.

_PHASES=	extract patch build stage
_BEFORE_extract=	checksum
_BEFORE_patch=	extract
_BEFORE_build=	patch
_BEFORE_stage=	build
_TARGETS_extract=	make-wrkdir pre-extract do-extract post-extract
_TARGETS_patch=	pre-patch do-patch post-patch
.if defined(NO_BUILD)
_TARGETS_build=	# empty
.else
_TARGETS_build=	pre-build do-build post-build
.endif
_TARGETS_stage=	stage-dir pre-install do-install post-install install-rc-script sub-files \
		compress-man install-license

.ORDER: ${_PHASES:@p@${_TARGETS_$p}@}

.for phase in ${_PHASES}
.  if exists(${WRKDIR}/.${phase}_done)
${phase}:
.  else
${phase}: ${_BEFORE_${phase}}
	@${ECHO_MSG} "===>  ${phase} ${PKGNAME}"
	@${.MAKE} -m ${_MK} -C ${.CURDIR} ${phase}-targets
	@${TOUCH} ${WRKDIR}/.${phase}_done
.  endif
${phase}-targets: ${_TARGETS_${phase}}
.  for target in ${_TARGETS_${phase}:Mpre-*} ${_TARGETS_${phase}:Mpost-*}
.    if !target(${target})
${target}:
	@:
.    endif
.  endfor
.endfor

make-wrkdir:
	@${MKDIR} ${WRKDIR}

.if !target(do-extract)
do-extract:
.  for file in ${EXTRACT_ONLY}
	@cd ${WRKDIR} && ${BSDTAR} -xf ${_DISTDIR}/${file} --no-same-owner --no-same-permissions
.  endfor
.endif

.if !target(do-patch)
do-patch:
	@for patch in ${PATCHDIR}/patch-*; do \
		if [ -e "$$patch" ]; then \
			patch -d ${WRKSRC} -p0 -s <"$$patch" || exit 1; \
		fi; \
	done
.endif

.if !target(do-build)
do-build:
	@cd ${WRKSRC} && ${SETENV} ${MAKE_ENV} make ${MAKE_ARGS} ${ALL_TARGET}
.endif

stage-dir: check-users
	@${MKDIR} ${STAGEDIR}${PREFIX}

check-users:
.for kind one in ${USERS:@one@UID ${one}@} ${GROUPS:@one@GID ${one}@}
	@cat ${${kind}_FILES} | grep -q "^${one}:" || { \
		${ECHO_MSG} "** Cannot find any information about ${one} in ${${kind}_FILES}."; exit 1; }
.endfor

.if !target(do-install)
do-install:
	@cd ${WRKSRC} && make install DESTDIR=${STAGEDIR} PREFIX=${PREFIX}
.endif

install-rc-script:
.for script in ${USE_RC_SUBR}
	@${MKDIR} ${STAGEDIR}${PREFIX}/etc/rc.d
	@${_SUBSTITUTE} ${FILESDIR}/${script}.in >${STAGEDIR}${PREFIX}/etc/rc.d/${script}
	@chmod 0555 ${STAGEDIR}${PREFIX}/etc/rc.d/${script}
.endfor

sub-files:
.for file in ${SUB_FILES}
	@${_SUBSTITUTE} ${FILESDIR}/${file}.in >${WRKDIR}/${file}
.endfor

compress-man:
	@if [ -d ${STAGEDIR}${PREFIX}/share/man ]; then \
		find ${STAGEDIR}${PREFIX}/share/man -type f ! -name '*.gz' -exec gzip -9n {} +; \
	fi

install-license:
	@${MKDIR} ${STAGEDIR}${PREFIX}/${_LICENSE_DIR}
.for licence in ${LICENSE}
.  if defined(LICENSE_FILE_${licence})
.    if !defined(LICENSE_NAME_${licence}) || !defined(LICENSE_PERMS_${licence})
	@${ECHO_MSG} "===>  ${licence}: LICENSE_NAME and LICENSE_PERMS must be set"; ${FALSE}
.    endif
	@${INSTALL_DATA} ${LICENSE_FILE_${licence}} ${STAGEDIR}${PREFIX}/${_LICENSE_DIR}/${licence}
.  else
	@echo "The license: ${licence}" >${STAGEDIR}${PREFIX}/${_LICENSE_DIR}/${licence}
.  endif
.endfor

# What the framework itself installs is not in a port's own list.
_OWN=		${USE_RC_SUBR:S,^,etc/rc.d/,} ${LICENSE:S,^,${_LICENSE_DIR}/,}

_plist: stage
	@{ \
		for line in ${PLIST_FILES}; do echo "$$line"; done; \
		if [ -e ${PLIST} ]; then cat ${PLIST}; fi; \
		for line in ${_OWN}; do echo "$$line"; done; \
	} | grep -v '^@comment' >${WRKDIR}/.plist

check-plist: _plist
	@sort ${WRKDIR}/.plist | grep -v '^@' >${WRKDIR}/.listed || :
	@cd ${STAGEDIR}${PREFIX} && find . ! -type d | sed 's,^\./,,' | sort >${WRKDIR}/.staged
	@cd ${STAGEDIR} && find . ! -type d | sed 's,^\.,,' | grep -v '^${PREFIX}/' | \
		sed 's,^,Error: Outside of PREFIX: ,' | { ! grep .; }
	@sed -n 's,^@dir ,,p' ${WRKDIR}/.plist | while read -r directory; do \
		[ -d "${STAGEDIR}${PREFIX}/$$directory" ] || { \
			${ECHO_MSG} "Error: Missing: @dir $$directory"; exit 1; }; \
	done
	@LC_ALL=C comm -13 ${WRKDIR}/.listed ${WRKDIR}/.staged | sed 's,^,Error: Orphaned: ,' | { ! grep .; }
	@LC_ALL=C comm -23 ${WRKDIR}/.listed ${WRKDIR}/.staged | sed 's,^,Error: Missing: ,' | { ! grep .; }

# A tar without what differs from machine to machine; times are those of the staged files.
package: check-plist
	@${MKDIR} ${PKGFILE:H}
	@cd ${STAGEDIR}${PREFIX} && ${BSDTAR} -cf ${PKGFILE} --format ustar --uid 0 --gid 0 \
		--uname root --gname wheel -T ${WRKDIR}/.listed

clean:
	@rm -rf ${WRKDIR}

.PHONY: fetch makesum checksum check-sanity _plist check-plist package clean ${_PHASES} \
	${_PHASES:=-targets} ${_PHASES:@p@${_TARGETS_$p}@}
