# Textos para pacientes en español: trato de usted, palabras sencillas, frases cortas. Un cambio en un texto cuya clave
# empieza por "consent-" o "data-" cambia el texto del consentimiento: véase src/web/patient/wording.rs.

language-name = Español
language-en = inglés
language-es = español
language = Idioma
skip = Ir al contenido
note = Nota
simulated = Demostración: un Open Wearables simulado. Nada de esto es real.
questions-to = ¿Preguntas? Consulte a { $contact }.
# $sound es "i" delante de una palabra que empieza por este sonido.
list-and = { $sound ->
    [i] { $first } e { $last }
   *[other] { $first } y { $last }
}
date = { $day } de { $month } de { $year }
date-time = { $date }, { $time }
month-1 = enero
month-2 = febrero
month-3 = marzo
month-4 = abril
month-5 = mayo
month-6 = junio
month-7 = julio
month-8 = agosto
month-9 = septiembre
month-10 = octubre
month-11 = noviembre
month-12 = diciembre
save = Guardar
go-on = Continuar
try-again = Intentar de nuevo
check-again = Comprobar de nuevo
later = Más tarde: a sus opciones

## La página de inicio

start-title = Dispositivos para la investigación
start-lead = Este servicio lleva las mediciones de los dispositivos de las personas a los estudios en los que participan: solo lo que aceptaron, y solo mientras quieran.
start-patient = ¿Participa en un estudio?
start-patient-text = Abra el enlace que le envió el estudio. Si ya lo usó en este navegador, vaya a sus opciones.
start-staff = ¿Trabaja para un estudio?
start-sign-in = Iniciar sesión

## Errores

error-title = Error: { $title }
error-reference = Si pregunta por esto, dé esta referencia:
error-no-page = Esta página no existe
error-no-page-text = Revise la dirección.
error-to-start = A la página de inicio
error-bad = Esto no funcionó
error-forbidden = No permitido
error-too-many = Demasiados intentos
error-too-many-text = { $seconds ->
    [one] Espere un segundo e inténtelo de nuevo.
   *[other] Espere { $seconds } segundos e inténtelo de nuevo.
}
error-not-now = Esto no funciona en este momento
error-not-now-text = No se cambió nada. Inténtelo de nuevo en un momento.
error-repeated = «{ $name }» aparece más de una vez. Indíquelo una sola vez. No se cambió nada.
error-method = No es posible
error-method-text = Esta dirección no se usa de esta forma.
error-cut-form = El formulario no llegó completo.
error-address = No se entiende esta dirección.
error-line-ends = Las líneas de esta petición no terminan como HTTP lo pide. Termínelas con retorno de carro y salto de línea.
error-body-length = La longitud del contenido de esta petición no es un número simple.
error-host-missing = Esta petición no nombra su servidor. Nómbrelo en el encabezado Host.
error-host-bad = El encabezado Host de esta petición no es un servidor.
error-host-other = La dirección y el encabezado Host de esta petición nombran dos servidores.
error-host-twice = Esta petición nombra su servidor más de una vez. Nómbrelo una sola vez.
error-too-large = Demasiado grande
error-too-large-text = Es más de lo que admite esta dirección. No se cambió nada.
error-too-slow = Demasiado lento
error-too-slow-text = El formulario no llegó a tiempo.
error-form = No se aceptó este formulario
error-form-text = Era demasiado antiguo o no venía de nuestra página. No se cambió nada. Vuelva atrás, cargue la página otra vez e inténtelo de nuevo.
interrupted = Este servicio está interrumpido
interrupted-text = No se perdió nada de lo guardado. Vuelva dentro de un rato.

## Enlaces

sign-in-again = Abra su enlace otra vez
sign-in-again-text = Este navegador no le conoce. Abra en este navegador el enlace de su estudio. Si ya no se abre, pida uno nuevo.
link-incomplete = Este enlace no está completo
link-incomplete-missing = Falta una parte del enlace. Abra el enlace completo del mensaje de su estudio. Si no funciona, pida uno nuevo a la persona que lo envió.
link-incomplete-changed = Una parte de su código se perdió o cambió. Abra el enlace completo del mensaje de su estudio. Si no funciona, pida uno nuevo a la persona que lo envió.
link-unknown = No conocemos este enlace
link-unknown-text = Quizás se perdió una parte. Pida uno nuevo.
link-revoked = Este enlace ya no funciona
link-revoked-text = Quizás hay uno más nuevo en sus mensajes. Si no, pida uno nuevo.
link-expired = Este enlace es demasiado antiguo
link-expired-text = Los enlaces funcionan siete días. Pida uno nuevo.
link-used = Este enlace ya se usó
link-used-text = Siga en el navegador en el que aceptó, o pida uno nuevo.
link-completed = Su dispositivo ya está conectado
link-completed-text = Este enlace cumplió su función y ya no se abre. Para ver o cambiar sus opciones, use el navegador en el que conectó el dispositivo. Si ya no lo tiene, pida un enlace nuevo.
link-foreign = Este enlace es de otro lugar
link-foreign-text = Es de un servicio con el que esta página no trabaja. No se envió nada allí. Pregunte a la persona de su estudio que envió el enlace.
link-life = Puede cerrar esta página. Su enlace se vuelve a abrir hasta el { $date }, en cualquier teléfono o computadora, mientras no haya un dispositivo conectado.
not-for-you = ¿El enlace no es para usted? Cierre esta página y avise a la persona que lo envió.
your-number = Su número: { $number }
continue-title = ¿Quiere continuar aquí?
continue-text = Este enlace ya se abrió en otro navegador. Puede continuar aquí. En el otro navegador se cerrará la sesión.
continue-limits = Aquí puede conectar su dispositivo o dejar de compartir. Para aceptar algo nuevo, pida un enlace nuevo.
continue-button = Continuar en este navegador
may-not-grant = Pida primero un enlace nuevo
may-not-grant-text = Usted volvió con un enlace que ya se había usado. Con él puede conectar su dispositivo o dejar de compartir. Para aceptar algo nuevo, pida un enlace nuevo.
new-link-ask = Pedir un enlace nuevo
new-link-title = Pedir un enlace nuevo
new-link-text = Enviamos el enlace nuevo al correo que su estudio tiene de usted. El enlace anterior deja de funcionar.
new-link-no-mail = Este servicio no puede enviar correos. Pida un enlace nuevo a la persona de su estudio que le envió el primero.
new-link-address = Su dirección de correo
new-link-address-help = La que usted dio al estudio.
new-link-address-wrong = Escriba una dirección como nombre@example.org.
new-link-send = Enviar el enlace
new-link-sent = Mire su correo
new-link-sent-text = Si su estudio tiene esta dirección, en los próximos minutos le llega un correo con un enlace nuevo.
new-link-sent-else = ¿No le llega nada? Mire en la carpeta de correo no deseado, o pregunte a la persona de su estudio que le envió el primer enlace.
stale-return = Este enlace de vuelta ya no funciona
stale-return-text = Ya se usó, tardó demasiado o empezó en otro navegador. No cambió nada. Para seguir, abra en este navegador el enlace de su estudio.
stale-return-see = Ver si su dispositivo está conectado
jhe-invited = Su estudio le invita
jhe-invited-lead = Ha abierto un enlace personal. Con él puede compartir con su estudio las mediciones de su dispositivo, y cambiar de idea cuando quiera.
jhe-invited-text = Al continuar, este navegador queda abierto a nombre de la persona para quien se hizo el enlace. Después lee lo que se le pide, antes de aceptar nada. Si otro navegador usó antes este enlace, su sesión se cierra.
jhe-link-life = El enlace se vuelve a abrir durante 12 horas desde la última vez que continuó con él. Más tarde, pida uno nuevo.
jhe-link-used-text = Funciona 12 horas desde la última vez que continuó con él, y un enlace más nuevo lo reemplaza enseguida. Si lo usó en este navegador, vaya a sus opciones. Si no, pida uno nuevo.
jhe-link-expired-text = Los enlaces funcionan solo unos días. Pida uno nuevo.
erased-here = Nadie le vuelve a incluir sin preguntarle
erased-here-text = Sus datos se borraron aquí, como pidió usted o su estudio. Si quiere participar otra vez, dígalo a la persona de su estudio: puede darle acceso y enviarle un enlace nuevo.
open-link-again = Abra otra vez un enlace de su estudio
open-link-again-text = Para aceptar algo nuevo, abra una vez más el enlace de su estudio. Si es demasiado antiguo, pida uno nuevo. No se cambió nada. Para dejar de compartir no hace falta un enlace.
link-needed = Para esto necesitamos su enlace
link-needed-text = No pudimos dejar de compartir por usted en este navegador. Abra una vez más el enlace de su estudio y hágalo allí, o diga a la persona de su estudio que quiere dejarlo. Todavía no se cambió nada.
choices-unavailable-text = El servicio que guarda sus opciones no responde como debe. Puede que lo que eligió no esté guardado. Inténtelo de nuevo en unos minutos. Si vuelve a fallar, avise a la persona de su estudio.

## Consentimiento

step-1 = Paso 1 de 3
step-2 = Paso 2 de 3
step-3 = Paso 3 de 3
consent-page-title = Compartir sus datos
consent-heading = ¿Quiere compartir sus datos?
consent-lead = Lea esta página, marque lo que quiere compartir y decida. Tarda unos tres minutos. Puede dejarlo cuando quiera.
consent-who = Quién lo pide
consent-who-text = { $organization }, para el estudio «{ $study }».
consent-why = Para qué
consent-data = Qué datos
consent-data-text = De cada medición: su valor, su hora y el dispositivo del que viene. Se incluye lo que su dispositivo midió en { $past } antes de aceptar, y nada anterior. Si deja de compartir y acepta otra vez más tarde, lo que se midió entretanto queda fuera.
consent-readers = Quién puede verlo
consent-readers-text = Las personas del estudio en { $organization }, y quienes manejan este servicio para ellas. El fabricante de su dispositivo ya tiene sus datos y no se entera de lo que hace el estudio con ellos.
consent-stop = Cómo dejarlo
consent-stop-text = Cuando quiera y sin dar una razón, en la página «Sus opciones»: en el navegador en el que aceptó, o con un enlace nuevo. Desde ese momento no se recoge nada más para el estudio. Lo que se recogió antes queda en el estudio; pida al estudio que lo borre.
consent-questions = Preguntas
consent-legend = ¿Qué quiere compartir?
consent-tick = Marque lo que acepta.
consent-unmeasured = No le pedimos lo que su dispositivo no mide ({ $device }): { $types }.
consent-undeliverable = El estudio pide también lo que ningún dispositivo da aquí: { $types }. Aquí no se le pregunta por eso.
past-days = { $count ->
    [one] el último día
   *[other] los últimos { $count } días
}
past-hours = { $count ->
    [one] la última hora
   *[other] las últimas { $count } horas
}
other-language = Este estudio aún no tiene un texto en español. Su texto está en { $language }. Acepte solo si lo entiende. Puede pedir al estudio que se lo explique.
text-version = Texto { $version } en { $language }, { $date }
agree = Acepto
decline = No acepto
nothing-ticked = No marcó nada
nothing-ticked-text = Marque al menos una casilla, o elija «No acepto».
text-changed = El texto cambió
text-changed-text = El texto cambió desde que abrió la página. Léalo otra vez. No se guardó nada.
declined-title = Usted no aceptó
declined = No aceptó nada nuevo
declined-text = No se guardó nada. Lo que compartía antes se sigue compartiendo hasta que lo deje.
declined-link = Si cambia de idea, el mismo enlace funciona siete días desde que se hizo.
declined-browser = Si cambia de idea, este navegador le reconoce durante 30 días.
declined-read = Leer lo que se pide
welcome-back = Le damos la bienvenida otra vez
welcome-back-text = Ya respondió a todo lo que se le preguntó. Continúe para conectar un dispositivo o para ver sus opciones.
asked-for-device = Se le pregunta por lo que mide un dispositivo de { $device }.
other-device = Uso otro
time-zone = Su zona horaria
time-zone-why = Sus días y noches se cuentan con la hora del lugar donde vive.
zone-likely = Probables
zone-now = { $zone } (ahora { $time })
not-asked = El estudio ya no le pide esto.
time-zone-unknown = No se guardó nada: no existe esa zona horaria. Elija una de la lista.

## Dispositivos

which-device = ¿Qué dispositivo usa?
which-device-title = Elija su dispositivo
which-device-text = Después se le pregunta solo por lo que mide. Si usa varios, elija uno: puede añadir otro más tarde.
provider-signs-in = Usted inicia sesión en la página del fabricante y acepta allí. Nunca vemos su contraseña.
device-missing = Mi dispositivo no está en la lista
device-missing-text = Este estudio lee solo estos fabricantes. Pregunte al estudio si puede participar de otra forma.
no-device-offered = No se puede conectar ningún dispositivo en este momento
no-device-offered-text = Su respuesta está guardada. El estudio aún no ha preparado sus dispositivos. Avise a la persona que le envió el enlace.
choose-one = Elija uno de los dispositivos.
on-to = A la página de { $device }
on-to-text = Le llevamos a la página de { $device }. Inicie sesión allí como en su aplicación y acepte. Después vuelve aquí.
go-to = Ir a { $device }
nothing-shared-withdrawn = Usted dejó de compartir; por eso no se recoge nada y no se puede conectar ningún dispositivo. Si quiere conectar uno, acepte primero compartir algo.
nothing-shared-suspended = Su respuesta anterior se debe confirmar; por eso no se recoge nada y no se puede conectar ningún dispositivo. Pregunte a la persona de su estudio.
nothing-shared-completed = Su participación terminó; por eso no se recoge nada y no se puede conectar ningún dispositivo.
nothing-shared-yet = Usted aún no aceptó compartir nada; por eso no se puede conectar ningún dispositivo. Acepte primero compartir algo.
part-over = Su participación en { $study } terminó el { $day }. Ya no se recoge nada para el estudio.
part-late-data = Su participación en { $study } terminó el { $day }. Lo que usted mida desde ahora no se recoge. Hasta el { $late }, su dispositivo aún puede enviar lo que midió antes.
part-ends = Su participación en { $study } termina el { $day }.
connect-wrong-answer = Su respuesta está guardada; no tiene que darla otra vez. El servicio que conecta su dispositivo dio una respuesta equivocada; por eso no le llevamos a ninguna página. Avise a la persona de su estudio.
withdrew-meanwhile = Usted dejó de compartir mientras se conectaba su dispositivo; por eso se desconectó de nuevo.
withdrew-still-connected = Usted dejó de compartir mientras se conectaba su dispositivo. Ahora no se pudo desconectar; se intentará de nuevo hasta lograrlo. Mientras tanto no se recoge nada.
withdraw-unknown = Usted no ha compartido esto con este estudio. No se cambió nada.
connect-unavailable = Su respuesta está guardada; no tiene que darla otra vez. El servicio que conecta su dispositivo no responde. Inténtelo de nuevo en unos minutos, o más tarde en este navegador.
your-device = su dispositivo
device-refused = Usted no aceptó
device-refused-text = En la página de { $device } eligió no compartir. No se conectó nada. Lo que aceptó aquí sigue siendo válido.
device-stale = Tardó demasiado
device-stale-text = Pasó más de 15 minutos en la página de { $device }. No se conectó nada. Empiece otra vez.
device-failed = Esto no funcionó
device-failed-text = { $device } o el servicio que lo conecta dio un error. No se conectó nada. Inténtelo de nuevo. Si vuelve a fallar, avise a la persona que le envió el enlace.
device-unconfirmed = Aún no está conectado
device-unconfirmed-text = { $device } no ha confirmado la conexión. Si acaba de aceptar allí, compruebe de nuevo en un momento. Si salió antes del final, empiece otra vez.
device-unknown = No lo sabemos en este momento
device-unknown-text = Ahora no podemos saber si { $device } está conectado: el servicio que lo sabe no responde. No se perdió nada. Compruebe de nuevo en unos minutos.
connected = Conexión lista
connected-text = { $device } está conectado. Ya terminó. Gracias.
next = Qué sigue ahora
next-wear = Siga usando su dispositivo y abra su aplicación como siempre.
next-first = { $minutes ->
    [one] Buscamos mediciones nuevas cada minuto. Las primeras pueden tardar una hora.
   *[other] Buscamos mediciones nuevas cada { $minutes } minutos. Las primeras pueden tardar una hora.
}
next-more = Su estudio pide también algo que usted no aceptó. Puede leerlo en la página «Sus opciones»; no tiene que aceptarlo.
next-choices = En la página «Sus opciones» puede ver sus datos, cambiar de idea o desconectar cuando quiera.
see-choices = Ver sus opciones
connect-another = Conectar otro dispositivo
not-connected = No se conectó nada
go-back = Vuelva al lugar donde empezó
go-back-text = Si empezó en una aplicación, vuelva a ella: muestra si su dispositivo está conectado.
go-back-link = Si empezó con un enlace de su estudio, abra el enlace en este navegador, o vuelva al navegador que usó antes.

## Opciones

choices-title = Sus opciones
choices-stale = El servicio que guarda sus opciones no responde en este momento: esto es lo último que dijo.
done-granted = Guardado: usted comparte esto desde ahora.
done-time-zone = Guardado: sus días y noches se cuentan con esta zona horaria.
done-disconnected = Su dispositivo está desconectado.
done-disconnecting = No se pudo desconectar su dispositivo en este momento. Lo intentamos hasta que funcione.
done-withdrawn = Usted dejó de compartir esto: { $types }. El estudio no recibe nada más de ello.
done-withdrawn-unnamed = Usted ya no comparte esto. El estudio no recibe nada más de ello.
done-shared-elsewhere = Usted dejó de compartir esto con este estudio: { $types }. Todavía comparte lo mismo con otro: véalo abajo y déjelo allí también, si quiere.
done-still-connected = Usted dejó de compartir esto: { $types }. El estudio no recibe nada más de ello. No se pudo desconectar su dispositivo en este momento. Lo intentamos hasta que funcione.
connect-after-agreeing = Cuando haya aceptado, conecte su dispositivo:
connect-device = conectar { $device }
no-study = En este momento no está en ningún estudio. No se comparte nada.
shared-since = Usted comparte esto desde el { $date }.
shared-elsewhere = Compartido, pero no desde su dispositivo
unmeasured = Su dispositivo no lo mide ({ $device })
unmeasured-text = El estudio pide más, que su dispositivo no mide: { $types }.
other-measures = { $device } mide: { $types }.
also-wear = También uso { $device }
not-measured-by = Su dispositivo ({ $device }) no lo mide.
agreed-text = Lo que aceptó
read-first = Lea esto antes de compartir más
not-shared = Usted no comparte esto.
agree-to-share = Acepto compartir
stop = Dejar de compartir
stop-everything = Dejar de compartir todo
stop-and-disconnect = Dejar de compartir y desconectar
stop-keep = Seguir compartiendo
stop-title = ¿Dejar de compartir { $types }?
stop-from-now = Desde ahora, el estudio no recibe nada de esto: { $types }.
stop-meanwhile = Lo que su dispositivo mide mientras no comparte nunca llega al estudio, aunque vuelva a compartir más tarde.
stop-others = Usted sigue compartiendo: { $types }.
stop-last = Es lo último que comparte. Su dispositivo también se desconecta.
stop-before = Lo anterior queda en el estudio. Si quiere, pida al estudio que lo borre.
device-title = Su dispositivo
device-connected = Conectado: { $device }
device-none = No hay ningún dispositivo conectado.
device-state-unknown = En este momento no podemos saber si su dispositivo está conectado.
newest = Última medición que llegó: { $time }
newest-none = Aún no ha llegado ninguna medición.
share-first = Para conectar uno, acepte primero compartir algo.
connect-again = Conectar otra vez
connect-a-device = Conectar un dispositivo
disconnect = Desconectar
sign-out = Cerrar la sesión en este navegador
sign-out-text = Para volver, necesita después un enlace nuevo de su estudio.
signed-out = La sesión está cerrada
signed-out-text = Sus opciones no cambiaron. Para volver, pida a su estudio un enlace nuevo.

## Datos

data-title = Sus datos
data-see = Ver y descargar mis datos
download = Descargar sus datos
download-text = Todo lo que está guardado aquí sobre usted:
download-csv = Como tabla para una hoja de cálculo (CSV)
download-json = Para otros programas: puntos de datos Open mHealth (JSON)

## Tipos de datos

data-omh-blood-glucose = Glucosa en sangre
    .covers = Azúcar en la sangre, según la mide su sensor o medidor.
data-omh-blood-pressure = Presión arterial
    .covers = Presión arterial: el valor alto y el valor bajo de cada medición.
data-omh-body-temperature = Temperatura corporal
    .covers = Temperatura del cuerpo, cada vez que se mide.
data-omh-heart-rate = Frecuencia cardíaca
    .covers = Frecuencia cardíaca de día y de noche, y su frecuencia cardíaca en reposo.
data-omh-oxygen-saturation = Oxígeno en sangre
    .covers = Oxígeno en sangre: cuánto oxígeno lleva su sangre.
data-omh-respiratory-rate = Frecuencia respiratoria
    .covers = Frecuencia respiratoria: cuántas veces respira en un minuto.
data-omh-rr-interval = Intervalo entre latidos
    .covers = El tiempo entre un latido y el siguiente.
data-omh-body-weight = Peso
    .covers = Peso, según su báscula o su perfil.
data-omh-forced-vital-capacity = Capacidad pulmonar
    .covers = Capacidad pulmonar: cuánto aire puede soltar de un soplo.
data-omh-forced-expiratory-volume-1-second = Aire soltado en un segundo
    .covers = Cuánto aire suelta en el primer segundo de un soplo.
data-QuestionnaireResponse = Respuestas a preguntas
    .covers = Sus respuestas a preguntas.
data-omh-physical-activity = Actividad física
    .covers = Ejercicios, con su tipo, hora, distancia y energía, y la distancia y la energía de la actividad del día.
data-omh-step-count = Pasos
    .covers = Sus pasos durante el día y el total del día.
data-ieee-sleep-stage-summary = Fases del sueño
    .covers = Fases del sueño: cuánto tiempo pasó en sueño ligero, profundo y con sueños, y despierto.
data-omh-sleep-episode = Sueño
    .covers = Sueño: cuándo empezó y terminó cada noche y cada siesta, y qué tan bien durmió.
data-omh-sleep-duration = Tiempo de sueño
    .covers = Tiempo dormido, en cada noche y cada siesta.
data-omh-body-height = Estatura
    .covers = Estatura, según su perfil.
data-ieee-time-in-bed = Tiempo en la cama
    .covers = Tiempo en la cama, en cada noche y cada siesta.
data-local-heart_rate_variability_sdnn = Variabilidad de la frecuencia cardíaca (SDNN)
    .covers = Variabilidad de la frecuencia cardíaca: cuánto varía el tiempo entre latidos.
data-local-heart_rate_variability_rmssd = Variabilidad de la frecuencia cardíaca (RMSSD)
    .covers = Variabilidad de la frecuencia cardíaca: cuánto cambia el tiempo de un latido al siguiente.
data-local-heart_rate_recovery_one_minute = Recuperación cardíaca
    .covers = Recuperación cardíaca: cuánto baja su frecuencia cardíaca en el primer minuto después del ejercicio.
data-local-walking_heart_rate_average = Frecuencia cardíaca al caminar
    .covers = Frecuencia cardíaca al caminar: el promedio mientras camina.
data-local-atrial_fibrillation_burden = Carga de fibrilación auricular
    .covers = Carga de fibrilación auricular: la parte del tiempo con señales de latidos irregulares.
data-local-blood_alcohol_content = Alcohol en sangre
    .covers = Alcohol en sangre, según lo mide un dispositivo.
data-local-peripheral_perfusion_index = Índice de perfusión
    .covers = Índice de perfusión: qué tan fuerte es el pulso en su dedo o muñeca.
data-local-sleeping_breathing_disturbances = Alteraciones de la respiración
    .covers = Alteraciones de la respiración: con qué frecuencia se altera su respiración mientras duerme.
data-local-breathing_disturbance_index = Índice de alteraciones de la respiración
    .covers = Índice de alteraciones de la respiración: la puntuación que da el fabricante a su respiración mientras duerme.
data-local-peak_expiratory_flow_rate = Flujo máximo de aire
    .covers = Flujo máximo de aire: con qué rapidez puede soltar el aire.
data-local-inhaler_usage = Uso del inhalador
    .covers = Uso del inhalador: con qué frecuencia usa un inhalador.
data-omh-body-fat-percentage = Grasa corporal
    .covers = Grasa corporal: la parte de grasa en su cuerpo.
data-omh-body-mass-index = Índice de masa corporal
    .covers = Índice de masa corporal: su peso en relación con su estatura.
data-local-lean_body_mass = Masa magra
    .covers = Masa magra: su peso sin la grasa.
data-local-skin_temperature = Temperatura de la piel
    .covers = Temperatura de la piel.
data-local-skin_temperature_deviation = Cambio de la temperatura de la piel
    .covers = Cambio de la temperatura de la piel: cuánto se aparta de la habitual.
data-local-skin_temperature_trend_deviation = Tendencia de la temperatura de la piel
    .covers = Tendencia de la temperatura de la piel: cómo cambia a lo largo de los días.
data-local-waist_circumference = Contorno de cintura
    .covers = Contorno de cintura: la medida de su cintura.
data-local-body_fat_mass = Masa de grasa
    .covers = Masa de grasa: el peso de la grasa en su cuerpo.
data-local-skeletal_muscle_mass = Masa muscular
    .covers = Masa muscular: el peso de sus músculos.
data-local-garmin_skin_temperature = Cambio de la temperatura de la piel (Garmin)
    .covers = Cambio de la temperatura de la piel: cuánto se aparta de la habitual, según Garmin.
data-local-electrodermal_activity = Conductancia de la piel
    .covers = Conductancia de la piel: cambios de la piel por el sudor.
data-local-vo2_max = Forma física (VO2 máx.)
    .covers = Forma física: cuánto oxígeno puede usar su cuerpo.
data-local-six_minute_walk_test_distance = Caminata de seis minutos
    .covers = Caminata de seis minutos: qué distancia camina en seis minutos.
data-local-cardiovascular_age = Edad cardiovascular
    .covers = Edad cardiovascular: la edad de sus vasos sanguíneos, según calcula el fabricante.
data-local-garmin_fitness_age = Edad según la forma física
    .covers = Edad según la forma física: la edad que corresponde a su forma física, según Garmin.
data-local-garmin_stress_level = Nivel de estrés
    .covers = Nivel de estrés: la puntuación que da Garmin a su estrés.
data-local-garmin_body_battery = Body Battery
    .covers = Body Battery: sus reservas de energía, según calcula Garmin.
data-local-workout_effort_score = Esfuerzo del ejercicio
    .covers = Esfuerzo del ejercicio: qué tan duro le pareció un ejercicio.
data-local-estimated_workout_effort_score = Esfuerzo estimado del ejercicio
    .covers = Esfuerzo estimado del ejercicio: qué tan duro fue, según calcula el fabricante.
data-local-physical_effort = Esfuerzo físico
    .covers = Esfuerzo físico: cuánto trabaja su cuerpo.
data-local-average_met = Gasto de energía
    .covers = Gasto de energía: cuánta energía usa su cuerpo en comparación con el reposo.
data-omh-calories-burned = Energía activa
    .covers = Energía activa: la energía que gasta al moverse.
data-local-basal_energy = Energía en reposo
    .covers = Energía en reposo: la energía que su cuerpo gasta sin moverse.
data-local-stand_time = Tiempo de pie
    .covers = Tiempo de pie: cuánto tiempo está de pie.
data-local-exercise_time = Tiempo de ejercicio
    .covers = Tiempo de ejercicio: cuánto tiempo hace ejercicio.
data-local-active_time = Tiempo activo
    .covers = Tiempo activo: cuánto tiempo se mueve en un día.
data-local-flights_climbed = Pisos subidos
    .covers = Pisos subidos: cuántos pisos sube.
data-local-distance_walking_running = Distancia a pie
    .covers = Distancia a pie: cuánto camina y corre.
data-local-distance_cycling = Distancia en bicicleta
    .covers = Distancia en bicicleta: cuánto recorre en bicicleta.
data-local-distance_swimming = Distancia nadando
    .covers = Distancia nadando: cuánto nada.
data-local-distance_downhill_snow_sports = Distancia en la nieve
    .covers = Distancia en la nieve: cuánto esquía o baja en tabla.
data-local-distance_other = Otra distancia
    .covers = Otra distancia: cuánto recorre de otras formas.
data-local-push_count = Impulsos de silla de ruedas
    .covers = Impulsos de silla de ruedas: con qué frecuencia impulsa una silla de ruedas.
data-local-swimming_stroke_count = Brazadas
    .covers = Brazadas: cuántas brazadas da.
data-local-nike_fuel = Nike Fuel
    .covers = Nike Fuel: los puntos que da Nike por la actividad.
data-local-walking_step_length = Longitud del paso
    .covers = Longitud del paso: qué tan largos son sus pasos.
data-local-walking_speed = Velocidad al caminar
    .covers = Velocidad al caminar: qué tan rápido camina.
data-local-walking_double_support_percentage = Doble apoyo
    .covers = Doble apoyo: la parte de un paso con los dos pies en el suelo.
data-local-walking_asymmetry_percentage = Asimetría al caminar
    .covers = Asimetría al caminar: con qué frecuencia difieren los pasos de la izquierda y la derecha.
data-local-walking_steadiness = Estabilidad al caminar
    .covers = Estabilidad al caminar: qué tan estable camina.
data-local-stair_descent_speed = Velocidad al bajar escaleras
    .covers = Velocidad al bajar escaleras: qué tan rápido baja.
data-local-stair_ascent_speed = Velocidad al subir escaleras
    .covers = Velocidad al subir escaleras: qué tan rápido sube.
data-local-number_of_times_fallen = Caídas
    .covers = Caídas: con qué frecuencia nota su dispositivo una caída.
data-local-running_power = Potencia al correr
    .covers = Potencia al correr: con cuánta fuerza corre.
data-local-running_speed = Velocidad al correr
    .covers = Velocidad al correr: qué tan rápido corre.
data-local-running_vertical_oscillation = Oscilación vertical
    .covers = Oscilación vertical: cuánto sube y baja al correr.
data-local-running_ground_contact_time = Tiempo de contacto con el suelo
    .covers = Tiempo de contacto con el suelo: cuánto tiempo pisa el suelo al correr.
data-local-running_stride_length = Longitud de la zancada
    .covers = Longitud de la zancada: qué tan largas son sus zancadas al correr.
data-local-running_vertical_ratio = Relación vertical
    .covers = Relación vertical: cuánto sube y baja en relación con sus zancadas.
data-local-running_stance_time_balance = Equilibrio del apoyo
    .covers = Equilibrio del apoyo: cómo se reparten sus pies el tiempo en el suelo.
data-local-cadence = Cadencia
    .covers = Cadencia: con qué rapidez da pasos o pedalea.
data-local-power = Potencia
    .covers = Potencia: cuánta fuerza pone en un ejercicio.
data-omh-speed = Velocidad
    .covers = Velocidad: qué tan rápido se mueve en un ejercicio.
data-local-underwater_depth = Profundidad de buceo
    .covers = Profundidad de buceo: hasta qué profundidad bucea.
data-local-latitude = Lugar (latitud)
    .covers = Lugar: dónde está, de norte a sur.
data-local-longitude = Lugar (longitud)
    .covers = Lugar: dónde está, de este a oeste.
data-local-elevation = Altitud
    .covers = Altitud: a qué altura sobre el mar está.
data-ieee-ambient-sound = Ruido a su alrededor
    .covers = Ruido a su alrededor: qué tan fuerte es.
data-local-headphone_audio_exposure = Volumen de los auriculares
    .covers = Volumen de los auriculares: qué tan fuerte suenan.
data-local-environmental_sound_reduction = Reducción del ruido
    .covers = Reducción del ruido: cuánto bajan el ruido sus auriculares.
data-local-time_in_daylight = Tiempo con luz del día
    .covers = Tiempo con luz del día: cuánto tiempo pasa con luz natural.
data-local-uv_exposure = Exposición al sol (UV)
    .covers = Exposición al sol: qué tan fuerte le da el sol.
data-local-water_temperature = Temperatura del agua
    .covers = Temperatura del agua en la que está.
data-ieee-ambient-temperature = Temperatura del aire
    .covers = Temperatura del aire: qué temperatura hay a su alrededor y en el lugar donde hace ejercicio.
data-local-weather_humidity = Humedad
    .covers = Humedad: la humedad del aire donde hace ejercicio.
data-local-insulin_delivery = Insulina
    .covers = Insulina: la que usted se pone o la que le da una bomba.
data-local-number_of_alcoholic_beverages = Bebidas con alcohol
    .covers = Bebidas con alcohol: cuántas anota.
data-local-hydration = Bebidas
    .covers = Bebidas: cuánto bebe.

## Recordatorios por correo

reminders-tick = Quiero recibir recordatorios por correo electrónico
reminders-tick-help = Solo si no llegan datos de su dispositivo. Puede detenerlos en cualquier momento.
reminders-stop = ¿Detener los recordatorios?
reminders-stop-text = Ya no le enviaremos correos cuando no lleguen datos de su dispositivo. Lo que comparte no cambia.
reminders-stop-button = Detener los recordatorios
reminders-stopped = Ya no recibirá recordatorios
reminders-stopped-text = Lo que comparte con el estudio no ha cambiado.
reminders-unknown = No conocemos este enlace
reminders-unknown-text = Use el enlace de su último recordatorio, o pida a la persona de su estudio que detenga los recordatorios.
reminders-title = Recordatorios
reminders-on = Usted recibe un correo cuando no llegan datos de su dispositivo.
reminders-off = Usted no recibe recordatorios por correo.

## Correos. Un estudio puede cambiar el asunto y el texto.

mail-invitation-subject = Su invitación de { $institution }
mail-invitation-body =
    Hola, { $name }:

    { $institution } le invita a participar en un estudio. En este enlace puede leer de qué se trata. Usted decide si participa:

    { $link }

    El enlace es solo para usted y funciona hasta el { $until }. No se lo dé a nadie.

    { $institution }
mail-reminder-subject = Un recordatorio de { $institution }
mail-reminder-body =
    Hola, { $name }:

    Desde hace unos días no recibimos nada de su dispositivo. Por favor, compruebe que tiene batería, que lo lleva puesto y que su aplicación se ha abierto y sincronizado en su teléfono.

    Gracias,
    { $institution }
mail-reminder-footer =
    Recibe este mensaje porque aceptó recibir recordatorios de este estudio. Si no quiere más, abra este enlace:
    { $link }
mail-new-link-subject = Su enlace nuevo
mail-new-link-body =
    Hola:

    Usted pidió un enlace nuevo a sus páginas de { $institution }:

    { $link }

    El enlace funciona hasta el { $until }, y el anterior ya no funciona. ¿No lo pidió usted? Entonces no haga caso de este correo.

## Gráficas
range = { $first } a { $last }
day-long = %A %-d de %B
weekday-1 = lunes
weekday-2 = martes
weekday-3 = miércoles
weekday-4 = jueves
weekday-5 = viernes
weekday-6 = sábado
weekday-7 = domingo
weekday-short-1 = lun
weekday-short-2 = mar
weekday-short-3 = mié
weekday-short-4 = jue
weekday-short-5 = vie
weekday-short-6 = sáb
weekday-short-7 = dom
month-short-1 = ene
month-short-2 = feb
month-short-3 = mar
month-short-4 = abr
month-short-5 = may
month-short-6 = jun
month-short-7 = jul
month-short-8 = ago
month-short-9 = sep
month-short-10 = oct
month-short-11 = nov
month-short-12 = dic
period-day = Día
period-week = Semana
period-2weeks = 2 semanas
period-4weeks = 4 semanas
period-12weeks = 12 semanas
chart-period = Período
chart-earlier = Anterior
chart-later = Siguiente
chart-measurements = Mediciones
chart-no-data = sin datos
chart-empty = No hay datos en este período.
chart-show-newest = Ver los más recientes
chart-without-data = Usted aceptó compartir esto, pero aún no hay datos: { $names }{ $more ->
        [0] .
       *[other] {" "}y { $more } más.
    }
chart-no-measurements = Aún no hay datos. Llegan cuando hay un dispositivo conectado y su fabricante tiene datos.
chart-as-table = Como tabla
chart-measurement = Medición
chart-newest = Último valor
chart-when = Cuándo
chart-samples-of-day = Mediciones en 24 h
chart-of-day = en 24 h
chart-none = ninguno
chart-day = Día
chart-from = Desde
chart-until = Hasta
chart-hours = horas
chart-by-day = { $name } por día
chart-by-hour = { $name } por hora
chart-by-night = { $name } por noche
chart-whole-day = De todo el día: { $values }.
chart-night-counts = Una noche cuenta para el día en que terminó.
chart-so-far = , hasta ahora
chart-sources = Pueden contar la misma actividad; por eso no se suman.
chart-a-day = un día
chart-daily = Un valor por día.
chart-daily-mean = Cada raya es el promedio de su día.
chart-dots = Puntos: promedio de { $step }.
chart-dots-pressure = Puntos: promedio de { $step }, sistólica arriba y diastólica abajo.
chart-line = Línea: promedio de { $step }. Banda: del más bajo al más alto.
chart-line-pressure = Líneas: promedio de { $step }, sistólica, y diastólica en trazos. Bandas: del más bajo al más alto.
chart-samples = { $count ->
        [one] { $count } medición
       *[other] { $count } mediciones
    }
chart-pressure = sistólica { $systolic }, diastólica { $diastolic }
chart-mean = promedio { $value }
chart-sample-column = Mediciones
chart-mean-column = Promedio
chart-lowest = Más bajo
chart-highest = Más alto
chart-in-unit = en { $unit }
chart-in-unit-pressure = sistólica/diastólica en { $unit }
chart-mean-of-nights = { $count ->
        [one] promedio de 1 noche
       *[other] promedio de { $count } noches
    }
chart-stack = De abajo arriba, con el { $mean }:
chart-night-to = Noche al { $day }
chart-night-column = Noche al
chart-night-before = Noche anterior
chart-intervals = { $count } intervalos, de ellos { $wakes } de vigilia
chart-blocks = Cada bloque es un intervalo.
chart-time = hora, { $zone }
chart-stage = Fase
stage-deep = Profundo
stage-rem = REM
stage-light = Ligero
stage-awake = Despierto
stage-in-bed = En la cama
stage-asleep = Dormido
stage-other = Otra
unit-steps = pasos
unit-count = unidades
unit-score = puntos
unit-years = años
unit-bpm = lpm
unit-beats-min = latidos/min
unit-breaths-min = respiraciones/min
unit-IU = UI
series-resting_heart_rate = Frecuencia cardíaca en reposo
series-daily_activity = Calorías de la actividad
series-workout = Ejercicios
series-weather_temperature = Temperatura exterior
